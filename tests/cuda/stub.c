/* What GeNN's CUDA backend needs of libcuda and libcudart to be imported and to generate code, on
   a machine without a GPU or its driver.

   It answers as one device of compute capability 9.0. All else is refused: no memory, no copies,
   no modules, so that block sizes must be given and nothing can run. */

#include <stddef.h>
#include <string.h>

enum { DONE = 0, REFUSED = 801 }; /* cudaSuccess and cudaErrorNotSupported, in both libraries */

/* Arguments do not matter where the answer is no. */
#define REFUSE(name) \
    int name(void) { return REFUSED; }

#ifdef RUNTIME /* libcudart; else libcuda */

/* The head of cudaDeviceProp as libcudart fills it; what comes after is left alone. */
struct device {
    char name[256];
    unsigned char ids[32];
    size_t global_memory;
    size_t shared_memory_per_block;
    int registers_per_block;
    int warp_size;
    size_t memory_pitch;
    int threads_per_block;
    int block_shape[3];
    int grid_shape[3];
    size_t constant_memory;
    int major;
    int minor;
};

static const struct device DEVICE = {
    .name = "stub",
    .global_memory = (size_t)80 << 30,
    .shared_memory_per_block = 48 << 10,
    .registers_per_block = 64 << 10,
    .warp_size = 32,
    .memory_pitch = 0x7fffffff,
    .threads_per_block = 1024,
    .block_shape = {1024, 1024, 64},
    .grid_shape = {0x7fffffff, 65535, 65535},
    .constant_memory = 64 << 10,
    .major = 9,
    .minor = 0,
};

_Static_assert(offsetof(struct device, global_memory) == 288, "as libcudart has it");
_Static_assert(offsetof(struct device, constant_memory) == 352, "as libcudart has it");
_Static_assert(offsetof(struct device, major) == 360, "as libcudart has it");

int cudaGetDeviceCount(int *count) {
    *count = 1;
    return DONE;
}

int cudaGetDeviceProperties(struct device *device, int number) {
    if (number != 0) return REFUSED;
    memcpy(device, &DEVICE, sizeof DEVICE);
    return DONE;
}

int cudaSetDevice(int number) { return number == 0 ? DONE : REFUSED; }

int cudaRuntimeGetVersion(int *version) {
    *version = 13000;
    return DONE;
}

const char *cudaGetErrorString(int error) { return error ? "the stub refuses" : "no error"; }

REFUSE(cudaSetDeviceFlags)
REFUSE(cudaMalloc)
REFUSE(cudaFree)
REFUSE(cudaHostAlloc)
REFUSE(cudaFreeHost)
REFUSE(cudaHostGetDevicePointer)
REFUSE(cudaMemcpy)
REFUSE(cudaMemset)

#else

int cuGetErrorName(int error, const char **name) {
    *name = error ? "the stub refuses" : "no error";
    return DONE;
}

REFUSE(cuDeviceGet)
REFUSE(cuCtxCreate_v4)
REFUSE(cuCtxDestroy_v2)
REFUSE(cuCtxSetCurrent)
REFUSE(cuModuleLoad)
REFUSE(cuModuleUnload)
REFUSE(cuModuleGetFunction)
REFUSE(cuFuncGetAttribute)

#endif
