// The device language of CUDA, as far as GeNN's generated code uses it, in plain C++.
//
// `nvcc` (beside this folder) includes this file before each source, writes launches as calls of
// `emulator::launch` and shared memory as places in the memory of a block. What runs the threads is
// libcudart's stand-in, runtime.cpp.
#pragma once

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>

#define __CUDACC__ 13
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

using cudaError_t = int;
constexpr int cudaSuccess = 0, cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2;

namespace emulator {

// A thread of a kernel, as its code sees itself. No thread ever sees another's.
struct Self {
    uint3 thread, block;
    dim3 block_size, grid_size;
    char *shared;  // memory of the block
};

enum Access { LOAD, STORE, ATOMIC };

extern "C" {
__attribute__((const)) const Self *emulator_self();
void emulator_barrier(const char *place);
// The value of the lane `distance` further, or one's own where there is none.
std::uint64_t emulator_shuffle_down(std::uint64_t value, unsigned distance, const char *place);
void emulator_launch(const char *kernel, std::size_t shared, dim3 grid, dim3 block,
                     void (*body)(void *), void *data);
int emulator_to_symbol(void *symbol, const void *source, std::size_t size);
void emulator_access(const void *address, std::size_t size, Access access);
int cudaMemcpy(void *, const void *, std::size_t, int);
int cudaMemset(void *, int, std::size_t);
int cudaMalloc(void **, std::size_t);
int cudaFree(void *);
int cudaPeekAtLastError();
const char *cudaGetErrorString(int);
}

template <class Body>
void launch(const char *kernel, std::size_t shared, dim3 grid, dim3 block, Body body) {
    const auto call = [](void *data) { (*static_cast<Body *>(data))(); };
    emulator_launch(kernel, shared, grid, block, call, &body);
}

// Where atomics are, as far as the checks see: the operation itself is none of their business.
#ifdef EMULATOR_CHECKED
#define EMULATOR_TOUCH(address) emulator::emulator_access(address, sizeof *(address), emulator::ATOMIC)
#define EMULATOR_UNSEEN __attribute__((no_sanitize("thread"), noinline))
#else
#define EMULATOR_TOUCH(address)
#define EMULATOR_UNSEEN inline
#endif

template <class Number, class Change>
EMULATOR_UNSEEN Number update(Number *address, Change change) {
    using Bits = std::conditional_t<sizeof(Number) == 4, std::uint32_t, std::uint64_t>;
    Bits *place = reinterpret_cast<Bits *>(address);
    Bits before = __atomic_load_n(place, __ATOMIC_RELAXED), after;
    Number old;
    do {
        std::memcpy(&old, &before, sizeof old);
        const Number changed = change(old);
        std::memcpy(&after, &changed, sizeof after);
    } while (!__atomic_compare_exchange_n(place, &before, after, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return old;
}

}  // namespace emulator

using emulator::cudaFree;
using emulator::cudaGetErrorString;
using emulator::cudaMalloc;
using emulator::cudaMemcpy;
using emulator::cudaMemset;
using emulator::cudaPeekAtLastError;

#define threadIdx (emulator::emulator_self()->thread)
#define blockIdx (emulator::emulator_self()->block)
#define blockDim (emulator::emulator_self()->block_size)
#define gridDim (emulator::emulator_self()->grid_size)

#define EMULATOR_TEXT_(x) #x
#define EMULATOR_TEXT(x) EMULATOR_TEXT_(x)
#define EMULATOR_PLACE __FILE__ ":" EMULATOR_TEXT(__LINE__)
#define __syncthreads() emulator::emulator_barrier(EMULATOR_PLACE)
#define __shfl_down_sync(mask, value, distance) \
    emulator::shuffle_down(mask, value, distance, EMULATOR_PLACE)

namespace emulator {
template <class T>
T shuffle_down(unsigned mask, T value, unsigned distance, const char *place) {
    static_assert(sizeof(T) <= 8, "a shuffle takes up to 8 bytes");
    if (mask != 0xFFFFFFFFu) throw std::runtime_error("the emulator knows full masks only");
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = emulator_shuffle_down(bits, distance, place);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
}  // namespace emulator

template <class T, class U>
T atomicAdd(T *address, U value) {
    EMULATOR_TOUCH(address);
    return emulator::update(address, [=](T old) { return static_cast<T>(old + value); });
}

template <class T, class U>
T atomicOr(T *address, U value) {
    EMULATOR_TOUCH(address);
    return emulator::update(address, [=](T old) { return static_cast<T>(old | value); });
}

inline int __clz(unsigned x) { return x ? __builtin_clz(x) : 32; }

inline unsigned min(unsigned a, unsigned b) { return std::min(a, b); }
inline int min(int a, int b) { return std::min(a, b); }
inline float min(float a, float b) { return std::min(a, b); }
inline unsigned max(unsigned a, unsigned b) { return std::max(a, b); }
inline int max(int a, int b) { return std::max(a, b); }
inline float max(float a, float b) { return std::max(a, b); }

template <class Symbol>
int cudaMemcpyToSymbolAsync(Symbol &symbol, const void *source, std::size_t size,
                            std::size_t offset, int, int) {
    if (offset + size > sizeof symbol) return 11;  // cudaErrorInvalidValue
    return emulator::emulator_to_symbol(reinterpret_cast<char *>(&symbol) + offset, source, size);
}

template <class Symbol>
int cudaMemcpyToSymbol(Symbol &symbol, const void *source, std::size_t size) {
    return cudaMemcpyToSymbolAsync(symbol, source, size, 0, cudaMemcpyHostToDevice, 0);
}

template <class T>
int cudaMalloc(T **place, std::size_t size) {
    return emulator::cudaMalloc(reinterpret_cast<void **>(place), size);
}
