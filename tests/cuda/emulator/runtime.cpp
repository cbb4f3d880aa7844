// Stands in for libcudart: memory that is the host's, and launches that run on its cores.
//
// Set by the environment:
//   EMULATOR_WORKERS  threads of the system that share the blocks of a launch (1)
//   EMULATOR_ORDER    seed of a random order of blocks and threads; 0 is as they come (0)
//   EMULATOR_COUNTS   file to write at the end: launches, copies and bytes, as JSON

#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

#include "checks.hpp"
#include "memory.hpp"
#include "schedule.hpp"

using namespace emulator;

namespace {

enum { DONE = 0, OUT_OF_MEMORY = 2, INVALID_VALUE = 11, INVALID_POINTER = 17, NO_DEVICE = 101,
       LAUNCH_FAILURE = 719 };

// What a run cost, to be read by who tests.
struct Counts {
    struct Copies {
        std::uint64_t n = 0, bytes = 0;
        void add(std::size_t size) {
            n++;
            bytes += size;
        }
    };
    std::map<std::string, std::uint64_t> launches;
    Copies to_device, to_host, to_symbol;

    Counts() {
        if (std::getenv("EMULATOR_COUNTS")) count_traffic();
    }

    ~Counts() {
        const char *path = std::getenv("EMULATOR_COUNTS");
        FILE *file = path ? std::fopen(path, "w") : nullptr;
        if (!file) return;
        std::fprintf(file, "{\"launches\": {");
        const char *comma = "";
        for (const auto &[kernel, n] : launches) {
            const Traffic &own = traffic(kernel.c_str());
            const auto one = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
            std::fprintf(file,
                         "%s\"%s\": {\"n\": %llu, \"loads\": %llu, \"stores\": %llu, "
                         "\"atomics\": %llu, \"sectors\": %llu, \"distinct\": %llu}",
                         comma, kernel.c_str(), one(n), one(own.loads), one(own.stores),
                         one(own.atomics), one(own.sectors), one(own.distinct));
            comma = ", ";
        }
        std::fprintf(file, "}");
        for (const auto &[name, copies] : {std::pair("to_device", to_device),
                                           std::pair("to_host", to_host),
                                           std::pair("to_symbol", to_symbol)})
            std::fprintf(file, ", \"%s\": {\"n\": %llu, \"bytes\": %llu}", name,
                         (unsigned long long)copies.n, (unsigned long long)copies.bytes);
        std::fprintf(file, "}\n");
        std::fclose(file);
    }
};

Counts &counts() {
    static Counts all;
    return all;
}

// The threads of the system that share the blocks of a launch; the one that launches is one.
class Pool {
public:
    Pool() {
        for (std::uint64_t i = 1; i < setting("EMULATOR_WORKERS", 1); i++)
            threads_.emplace_back([this] { serve(); });
    }

    ~Pool() {
        {
            std::lock_guard hold(lock_);
            ends_ = true;
        }
        wake_.notify_all();
        for (std::thread &thread : threads_) thread.join();
    }

    void run(const Launch &launch) {
        const dim3 grid = launch.grid;
        total_ = std::size_t(grid.x) * grid.y * grid.z;
        next_ = 0;
        launch_ = &launch;
        number_++;
        order_.clear();
        if (seed_) {
            order_.resize(total_);
            for (std::size_t i = 0; i < total_; i++) order_[i] = i;
            std::mt19937_64 random(seed_ + number_);
            std::shuffle(order_.begin(), order_.end(), random);
        }
        const bool shared = !threads_.empty() && total_ >= 2 * (threads_.size() + 1);
        if (shared) {
            {
                std::lock_guard hold(lock_);
                round_++;
                busy_ = threads_.size();
            }
            wake_.notify_all();
        }
        work();
        if (shared) {
            std::unique_lock hold(lock_);
            done_.wait(hold, [this] { return busy_ == 0; });
        }
    }

private:
    void serve() {
        for (std::uint64_t seen = 0;;) {
            {
                std::unique_lock hold(lock_);
                wake_.wait(hold, [&] { return ends_ || round_ != seen; });
                if (ends_) return;
                seen = round_;
            }
            work();
            std::lock_guard hold(lock_);
            if (--busy_ == 0) done_.notify_one();
        }
    }

    void work() {
        Worker &own = worker();
        const dim3 grid = launch_->grid;
        for (std::size_t i; (i = __atomic_fetch_add(&next_, 1, __ATOMIC_RELAXED)) < total_;) {
            const std::size_t block = order_.empty() ? i : order_[i];
            const uint3 id{unsigned(block % grid.x), unsigned(block / grid.x % grid.y),
                           unsigned(block / (std::size_t(grid.x) * grid.y))};
            own.run(*launch_, id, seed_ ? seed_ + number_ * 0x9E3779B9ull + block : 0);
        }
    }

    const std::uint64_t seed_ = setting("EMULATOR_ORDER", 0);
    std::vector<std::thread> threads_;
    std::mutex lock_;
    std::condition_variable wake_, done_;
    bool ends_ = false;
    std::uint64_t round_ = 0, number_ = 0;
    std::size_t busy_ = 0, total_ = 0, next_ = 0;
    std::vector<std::size_t> order_;
    const Launch *launch_ = nullptr;
};

Pool &pool() {
    static Pool all;
    return all;
}

int last_error = DONE;
std::uint64_t launched = 0;

// The head of cudaDeviceProp; what comes after is left alone.
struct Properties {
    char name[256];
    unsigned char ids[32];
    std::size_t global_memory, shared_memory_per_block;
    int registers_per_block, warp_size;
    std::size_t memory_pitch;
    int threads_per_block, block_shape[3], grid_shape[3];
#if RUNTIME < 13
    int clock_rate;
#endif
    std::size_t constant_memory;
    int major, minor;
    std::size_t texture_alignment, texture_pitch_alignment;
#if RUNTIME < 13
    int device_overlap;
#endif
    int multiprocessors, features[RUNTIME < 13 ? 4 : 2], textures[RUNTIME < 13 ? 26 : 25], surfaces[14];
    std::size_t surface_alignment;
    int more_features[RUNTIME < 13 ? 9 : 8], bus_width, cache_size, lasting_cache_size;
    int threads_per_multiprocessor, cached[3];
    std::size_t shared_memory_per_multiprocessor;
    int registers_per_multiprocessor;
};
static_assert(RUNTIME < 13 || offsetof(Properties, threads_per_multiprocessor) == 604);

}  // namespace

extern "C" {

int cudaGetDeviceCount(int *count) {
    *count = devices();
    return *count ? DONE : NO_DEVICE;
}

int cudaGetDeviceProperties(Properties *device, int number) {
    if (number < 0 || number >= devices()) return NO_DEVICE;
    *device = {};
    std::strcpy(device->name, "emulator");
    device->global_memory = memory().limit();
    device->shared_memory_per_block = SHARED;
    device->registers_per_block = 64 << 10;
    device->warp_size = WARP;
    device->memory_pitch = 0x7fffffff;
    device->threads_per_block = 1024;
    for (int i = 0; i < 3; i++) {
        device->block_shape[i] = i < 2 ? 1024 : 64;
        device->grid_shape[i] = i ? 65535 : 0x7fffffff;
    }
    device->constant_memory = 64 << 10;
    device->major = 9;
    device->multiprocessors = 132;
    device->threads_per_multiprocessor = 2048;
    device->shared_memory_per_multiprocessor = 228 << 10;
    device->registers_per_multiprocessor = 64 << 10;
    return DONE;
}

int cudaGetDeviceProperties_v2(Properties *device, int number) {
    return cudaGetDeviceProperties(device, number);
}

int cudaSetDevice(int number) { return number >= 0 && number < devices() ? DONE : NO_DEVICE; }

int cudaSetDeviceFlags(unsigned) { return DONE; }

int cudaRuntimeGetVersion(int *version) {
    *version = RUNTIME * 1000;
    return DONE;
}

const char *cudaGetErrorString(int error) {
    switch (error) {
        case DONE: return "no error";
        case OUT_OF_MEMORY: return "out of memory";
        case INVALID_VALUE: return "invalid argument";
        case INVALID_POINTER: return "invalid device pointer";
        case NO_DEVICE: return "invalid device ordinal";
        default: return "unspecified launch failure";
    }
}

int cudaPeekAtLastError() { return last_error; }

int cudaMalloc(void **place, std::size_t size) {
    *place = memory().allocate(size);
    if (*place && is_checked()) unset(*place, size);
    return *place ? DONE : OUT_OF_MEMORY;
}

int cudaFree(void *place) { return !place || memory().free(place) ? DONE : INVALID_POINTER; }

int cudaHostAlloc(void **place, std::size_t size, unsigned) {
    *place = std::malloc(size ? size : 1);
    if (*place) std::memset(*place, UNSET, size);
    return *place ? DONE : OUT_OF_MEMORY;
}

int cudaFreeHost(void *place) {
    std::free(place);
    return DONE;
}

int cudaHostGetDevicePointer(void **device, void *host, unsigned) {
    *device = host;
    return DONE;
}

int cudaMemcpy(void *target, const void *source, std::size_t size, int kind) {
    const void *device = kind == cudaMemcpyHostToDevice ? target : source;
    if (!memory().holds(device, size)) return INVALID_VALUE;
    (kind == cudaMemcpyHostToDevice ? counts().to_device : counts().to_host).add(size);
    if (kind == cudaMemcpyHostToDevice && is_checked()) set(target, size);
    std::memcpy(target, source, size);
    return DONE;
}

int cudaMemset(void *target, int value, std::size_t size) {
    if (!memory().holds(target, size)) return INVALID_VALUE;
    std::memset(target, value, size);
    if (is_checked()) set(target, size);
    return DONE;
}

int emulator_to_symbol(void *symbol, const void *source, std::size_t size) {
    counts().to_symbol.add(size);
    std::memcpy(symbol, source, size);
    return DONE;
}

void emulator_launch(const char *kernel, std::size_t shared, dim3 grid, dim3 block,
                     void (*body)(void *), void *data) {
    counts().launches[kernel]++;
    const bool fits = grid.x && grid.y && grid.z && block.x && block.y && block.z &&
                      block.x * block.y * block.z <= 1024 && shared <= SHARED &&
                      grid.y <= 65535 && grid.z <= 65535;
    if (!fits) {
        last_error = INVALID_VALUE;
        return;
    }
    pool().run({kernel, shared, grid, block, body, data, launched++});
    if (faults()) last_error = LAUNCH_FAILURE;
}
}
