// The threads of a block as fibers, so that barriers and shuffles are real.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "include/emulated_cuda.h"

namespace emulator {

constexpr unsigned WARP = 32;
constexpr std::size_t SHARED = 48 << 10;  // bytes of shared memory a block can have

// What a thread of a kernel does now.
enum class State { READY, RUNNING, AT_BARRIER, AT_SHUFFLE, DONE };

struct Fiber;

struct Thread {
    Self self;
    unsigned number;  // within its block
    State state;
    Fiber *fiber;         // where it waits, if it has begun
    const char *place;    // of the barrier or shuffle
    std::uint64_t value;  // what it gives to a shuffle, then what it gets
    unsigned distance;    // to the lane it takes from
};

// A kernel with its arguments, and how many threads it runs in.
struct Launch {
    const char *kernel;
    std::size_t shared;  // bytes
    dim3 grid, block;
    void (*body)(void *);
    void *data;
    std::uint64_t number;  // of launches before it
};

// Runs the blocks that it is given, one after the other. One to each thread of the system.
class Worker {
public:
    Worker();
    ~Worker();
    Worker(const Worker &) = delete;

    // Run a block of a kernel; seed 0 runs its threads as they come, another one at random.
    void run(const Launch &launch, uint3 block, std::uint64_t seed);

    Thread *current = nullptr;
    unsigned epoch = 0;        // barriers passed in this block
    std::uint64_t number = 0;  // of the launch
    const char *kernel() const { return launch_->kernel; }
    bool is_own(const void *place) const;     // of the thread that runs: its stack, or its Self
    bool is_shared(const void *place) const;  // memory of the block

    void wait(State state, const char *place);

private:
    friend struct Fiber;
    void enter();        // what a fiber does: threads that have not begun, while there are any
    void go_on(void **left);  // leave a stack for the next thread that is ready, or for the scheduler
    bool release();      // make ready who need not wait any more
    void exchange(unsigned first, unsigned end);
    [[noreturn]] void stuck() const;
    Fiber *idle();       // a fiber to begin threads on

    std::vector<Thread> threads_;
    std::vector<unsigned> order_;
    unsigned next_ = 0;  // place in the order of who comes next
    const Launch *launch_ = nullptr;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<Fiber *> idle_;
    Fiber *running_ = nullptr;
    void *scheduler_ = nullptr;  // the stack pointer of who called run
    std::vector<char> shared_;
    std::mt19937_64 random_;
};

Worker &worker();

}  // namespace emulator
