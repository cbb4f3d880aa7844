/* The device is a GPU: the first of CUDA_VISIBLE_DEVICES. */
#include "device.h"

#include <cuda_runtime.h>
#include <stdexcept>
#include <string>

static void check(cudaError_t error) {
    if (error != cudaSuccess) {
        throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(error));
    }
}

void *device_take(size_t bytes) {
    void *at = nullptr;
    check(cudaMalloc(&at, bytes));
    return at;
}

void device_give(void *at) { cudaFree(at); }

void device_clear(void *at, size_t bytes) { check(cudaMemset(at, 0, bytes)); }

void device_write(void *at, const void *from, size_t bytes) {
    check(cudaMemcpy(at, from, bytes, cudaMemcpyHostToDevice));
}

void device_read(void *to, const void *at, size_t bytes) {
    check(cudaMemcpy(to, at, bytes, cudaMemcpyDeviceToHost));
}

Steps::Steps() : kept(0) {}

Steps::~Steps() {}
