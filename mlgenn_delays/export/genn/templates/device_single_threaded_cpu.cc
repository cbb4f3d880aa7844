/* The device is the processor. */
#include "device.h"

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

void *device_take(size_t bytes) {
    void *at = std::malloc(bytes);
    if (!at) throw std::runtime_error("there is not enough memory");
    return at;
}

void device_give(void *at) { std::free(at); }

void device_clear(void *at, size_t bytes) { std::memset(at, 0, bytes); }

void device_write(void *at, const void *from, size_t bytes) { std::memcpy(at, from, bytes); }

void device_read(void *to, const void *at, size_t bytes) { std::memcpy(to, at, bytes); }

#ifdef __SSE__
Steps::Steps() : kept(_mm_getcsr()) { _mm_setcsr(kept | 0x8040); }

Steps::~Steps() { _mm_setcsr(kept); }
#else
Steps::Steps() : kept(0) {}

Steps::~Steps() {}
#endif
