// Stands in for libcuda: what GeNN's search for block sizes and `delaysnn doctor` ask of a driver.
//
// The modules that it loads are CUDA, which is what `nvcc -cubin` writes here; each of their kernels is
// said to need the same registers and shared memory.
//
// Set by the environment:
//   EMULATOR_MEMORY   bytes of device memory (8 GiB)
//   EMULATOR_DEVICES  number of devices (1)

#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "memory.hpp"

using namespace emulator;

namespace {

enum { DONE = 0, NO_DEVICE = 100, NOT_FOUND = 500, FILE_NOT_FOUND = 301 };
enum { SHARED_BYTES = 1, REGISTERS = 4 };                     // of a function
enum { MULTIPROCESSORS = 16, MAJOR = 75, MINOR = 76 };        // of a device

enum { SHARED = 4 << 10, REGISTER = 40 };  // bytes, number: of every kernel

}  // namespace

extern "C" {

int cuInit(unsigned) { return devices() ? DONE : NO_DEVICE; }

int cuDeviceGetCount(int *count) {
    *count = devices();
    return DONE;
}

int cuDeviceGet(int *device, int number) {
    if (number < 0 || number >= devices()) return NO_DEVICE;
    *device = number;
    return DONE;
}

int cuDeviceGetName(char *name, int length, int) {
    std::strncpy(name, "emulator", length);
    return DONE;
}

int cuDeviceGetAttribute(int *value, int attribute, int) {
    *value = attribute == MAJOR ? 9 : attribute == MULTIPROCESSORS ? 132 : 0;
    return DONE;
}

int cuDriverGetVersion(int *version) {
    *version = 13000;
    return DONE;
}

int cuDeviceTotalMem_v2(std::size_t *bytes, int) {
    *bytes = memory().limit();
    return DONE;
}

int cuMemGetInfo_v2(std::size_t *free, std::size_t *total) {
    *total = memory().limit();
    *free = memory().limit() - memory().used();
    return DONE;
}

int cuGetErrorName(int error, const char **name) {
    *name = error ? "CUDA_ERROR" : "CUDA_SUCCESS";
    return DONE;
}

int cuCtxCreate_v4(void **context, void *, unsigned, int) {
    *context = context;
    return DONE;
}

int cuCtxCreate_v2(void **context, unsigned, int) {
    *context = context;
    return DONE;
}

int cuCtxDestroy_v2(void *) { return DONE; }
int cuDevicePrimaryCtxRetain(void **context, int) {
    *context = context;
    return DONE;
}

int cuDevicePrimaryCtxRelease_v2(int) { return DONE; }
int cuCtxPushCurrent_v2(void *) { return DONE; }
int cuCtxPopCurrent_v2(void **) { return DONE; }
int cuCtxSetCurrent(void *) { return DONE; }

int cuModuleLoad(std::string **module, const char *path) {
    std::ifstream file(path);
    if (!file) return FILE_NOT_FOUND;
    *module = new std::string(std::istreambuf_iterator<char>(file), {});
    return DONE;
}

int cuModuleUnload(std::string *module) {
    delete module;
    return DONE;
}

int cuModuleGetFunction(void **function, std::string *module, const char *name) {
    const auto kernel = "__global__ void " + std::string(name) + "(";
    if (module->find(kernel) == std::string::npos) return NOT_FOUND;
    *function = module;
    return DONE;
}

int cuFuncGetAttribute(int *value, int attribute, void *) {
    *value = attribute == SHARED_BYTES ? SHARED : attribute == REGISTERS ? REGISTER : 0;
    return DONE;
}
}
