#include "schedule.hpp"

#include "memory.hpp"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>

namespace emulator {

constexpr std::size_t STACK = 256 << 10;

// A stack on which threads of a kernel run: one after the other, while none of them waits.
struct Fiber {
    Fiber(void (*main)(), std::size_t number) {
        stack = static_cast<char *>(mmap(nullptr, STACK, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (stack == MAP_FAILED) std::abort();
        mprotect(stack, 4096, PROT_NONE);
        // As if it had been left in `emulator_switch`, to return into main.
        // Stacks end at different places of a page, or all would want the same lines of the cache.
        void **top = reinterpret_cast<void **>(stack + STACK - number % 32 * 128) - 2;
        *top = reinterpret_cast<void *>(main);
        pointer = top - 6;
    }
    ~Fiber() { munmap(stack, STACK); }

    char *stack;
    void *pointer;  // of the stack, while it does not run
};

}  // namespace emulator

#if !defined(__x86_64__)
#error "the emulator switches stacks on x86-64 only"
#endif

// Leave one stack at a place and go on with another: registers that a call keeps are on the stack.
extern "C" void emulator_switch(void **left, void *entered);
__asm__(R"(
    .text
    .globl emulator_switch
    .hidden emulator_switch
    .type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulator_switch, . - emulator_switch
)");

namespace emulator {

namespace {
// Found without a call, for every thread asks for it again and again.
__attribute__((tls_model("initial-exec"))) thread_local Worker *found = nullptr;
}  // namespace

Worker &worker() {
    if (found) return *found;
    // By pointer, for there is little room for what is found like that.
    static thread_local const auto own = std::make_unique<Worker>();
    return *(found = own.get());
}

Worker::Worker() : shared_(SHARED) {}

Worker::~Worker() = default;

void Worker::run(const Launch &launch, uint3 block, std::uint64_t seed) {
    launch_ = &launch;
    number = launch.number;
    epoch = 0;
    const dim3 size = launch.block;
    const unsigned n = size.x * size.y * size.z;
    if (threads_.size() < n) threads_.resize(n);
    if (order_.size() != n) order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0u);
    if (seed) {
        random_.seed(seed);
        std::shuffle(order_.begin(), order_.end(), random_);
    }
    std::memset(shared_.data(), UNSET, launch.shared);
    uint3 id{0, 0, 0};
    for (unsigned i = 0; i < n; i++) {
        // Field by field: a Thread made elsewhere and copied here took seven times as long.
        Thread &thread = threads_[i];
        thread.self.thread = id;
        thread.self.block = block;
        thread.self.block_size = size;
        thread.self.grid_size = launch.grid;
        thread.self.shared = shared_.data();
        thread.number = i;
        thread.state = State::READY;
        thread.fiber = nullptr;
        if (++id.x < size.x) continue;
        id.x = 0;
        if (++id.y < size.y) continue;
        id.y = 0;
        id.z++;
    }
    do {
        next_ = 0;
        go_on(&scheduler_);
    } while (release());
    current = nullptr;
}

void Worker::go_on(void **left) {
    while (next_ < order_.size()) {
        Thread &thread = threads_[order_[next_++]];
        if (thread.state != State::READY) continue;
        current = &thread;
        running_ = thread.fiber ? thread.fiber : idle();
        return emulator_switch(left, running_->pointer);
    }
    if (left != &scheduler_) emulator_switch(left, scheduler_);
}

bool Worker::is_own(const void *place) const {
    const char *stack = running_->stack, *at = static_cast<const char *>(place);
    const char *self = reinterpret_cast<const char *>(current);
    return (stack <= at && at < stack + STACK) || (self <= at && at < self + sizeof *current);
}

bool Worker::is_shared(const void *place) const {
    const char *at = static_cast<const char *>(place);
    return shared_.data() <= at && at < shared_.data() + launch_->shared;
}

void Worker::enter() {
    for (;;) {
        current->state = State::RUNNING;
        current->fiber = running_;
        launch_->body(launch_->data);
        current->state = State::DONE;
        // Threads that have not begun go on here, as long as none of them waits.
        if (next_ < order_.size()) {
            Thread &thread = threads_[order_[next_]];
            if (thread.state == State::READY && !thread.fiber) {
                next_++;
                current = &thread;
                continue;
            }
        }
        // So nobody who is left has to begin, and be given this fiber before it is left.
        Fiber *own = running_;
        idle_.push_back(own);
        go_on(&own->pointer);
    }
}

Fiber *Worker::idle() {
    if (idle_.empty()) {
        fibers_.push_back(std::make_unique<Fiber>([] { worker().enter(); }, fibers_.size()));
        return fibers_.back().get();
    }
    Fiber *fiber = idle_.back();
    idle_.pop_back();
    return fiber;
}

void Worker::wait(State state, const char *place) {
    current->state = state;
    current->place = place;
    go_on(&current->fiber->pointer);
    current->state = State::RUNNING;
}

bool Worker::release() {
    const unsigned n = order_.size();
    bool ready = false, waiting = false;
    for (unsigned first = 0; first < n; first += WARP) {
        const unsigned end = std::min(n, first + WARP);
        unsigned live = 0, shuffling = 0;
        for (unsigned i = first; i < end; i++) {
            live += threads_[i].state != State::DONE;
            shuffling += threads_[i].state == State::AT_SHUFFLE;
        }
        waiting |= live > 0;
        if (shuffling == 0) continue;
        if (shuffling < live) stuck();
        exchange(first, end);
        ready = true;
    }
    if (ready || !waiting) return ready;
    const char *place = nullptr;
    for (unsigned i = 0; i < n; i++) {
        Thread &thread = threads_[i];
        if (thread.state == State::DONE) continue;
        if (place && place != thread.place && std::strcmp(place, thread.place)) stuck();
        place = thread.place;
        thread.state = State::READY;
    }
    epoch++;
    return true;
}

void Worker::exchange(unsigned first, unsigned end) {
    std::uint64_t given[WARP];
    for (unsigned i = first; i < end; i++) given[i - first] = threads_[i].value;
    for (unsigned i = first; i < end; i++) {
        Thread &thread = threads_[i];
        if (thread.state == State::DONE) continue;
        const unsigned from = i + thread.distance;
        if (from < end && threads_[from].state != State::DONE) thread.value = given[from - first];
    }
    for (unsigned i = first; i < end; i++)
        if (threads_[i].state != State::DONE) threads_[i].state = State::READY;
}

void Worker::stuck() const {
    std::fprintf(stderr, "emulator: in %s, threads of a block wait for each other:\n", launch_->kernel);
    for (unsigned i : order_)
        if (threads_[i].state != State::DONE)
            std::fprintf(stderr, "  thread %u at %s\n", i, threads_[i].place);
    std::abort();
}

extern "C" {

const Self *emulator_self() { return &worker().current->self; }

void emulator_barrier(const char *place) { worker().wait(State::AT_BARRIER, place); }

std::uint64_t emulator_shuffle_down(std::uint64_t value, unsigned distance, const char *place) {
    Worker &own = worker();
    own.current->value = value;
    own.current->distance = distance;
    own.wait(State::AT_SHUFFLE, place);
    return own.current->value;
}
}

}  // namespace emulator
