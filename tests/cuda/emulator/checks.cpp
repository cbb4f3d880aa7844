// Remembers of each byte who wrote and who read it last, since which barrier, in which launch.
//
// Found: two threads at the same byte, one of which writes, with no barrier between them and not both
// by atomics; blocks of a launch likewise, whatever barriers there are; a byte outside of all that
// was allocated; a byte read that nobody wrote. One worker runs all blocks while this is on.

#include "checks.hpp"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "memory.hpp"
#include "schedule.hpp"

namespace emulator {

namespace {

constexpr std::uint32_t NEVER = 0, BY_HOST = 1, FIRST = 2;  // numbers of launches
constexpr unsigned MANY = 0xFFFF;                           // threads, or blocks
constexpr int SHOWN = 20;                                   // faults that are described
constexpr std::size_t PAGE = 4096, SECTOR = 32;

// Who touched a byte last, in one way.
struct Touch {
    std::uint32_t launch = NEVER, block = 0;
    std::uint16_t thread = 0, epoch = 0;
    bool atomic = false;
};
struct Shadow {
    Touch write, read;
};
using Page = Shadow[PAGE];

std::unordered_map<std::uintptr_t, std::unique_ptr<Page>> pages;
std::uintptr_t last_number = 0;
Page *last_page = nullptr;

Shadow &shadow(std::uintptr_t at) {
    const std::uintptr_t number = at / PAGE;
    if (!last_page || number != last_number) {
        auto &page = pages[number];
        if (!page) page.reset(reinterpret_cast<Page *>(new Page{}));
        last_page = reinterpret_cast<Page *>(page.get());
        last_number = number;
    }
    return (*last_page)[at % PAGE];
}

int found = 0;
bool counts = false;
std::map<std::string, Traffic> kernels;
const char *counted = nullptr;
Traffic *own_traffic = nullptr;
// Of this block since its last barrier: which sectors a warp has touched, at all and at which time a
// thread came to the place in the code. What the threads of a warp do for the same time they do together.
std::unordered_set<std::uint64_t> sectors;
std::unordered_map<std::uint64_t, unsigned> times;
std::uint64_t stretch = 0;  // of which launch, block and barrier these are

// Where code may read and write what is no memory of the device: its own data, and the arguments of
// a kernel, on the stack of who launched it.
struct Ranges {
    std::map<std::uintptr_t, std::uintptr_t> all;  // from, to
    std::uintptr_t stack_first = 0, stack_end = 0;

    bool holds(std::uintptr_t at) {
        const auto next = all.upper_bound(at);
        return next != all.begin() && at < std::prev(next)->second;
    }
};
Ranges ranges;

void find_modules() {
    ranges.all.clear();
    dl_iterate_phdr(
        [](dl_phdr_info *info, std::size_t, void *) {
            for (int i = 0; i < info->dlpi_phnum; i++) {
                const auto &part = info->dlpi_phdr[i];
                if (part.p_type != PT_LOAD) continue;
                const std::uintptr_t first = info->dlpi_addr + part.p_vaddr;
                ranges.all[first] = first + part.p_memsz;
            }
            return 0;
        },
        nullptr);
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    void *first;
    std::size_t size;
    pthread_attr_getstack(&attributes, &first, &size);
    pthread_attr_destroy(&attributes);
    ranges.stack_first = reinterpret_cast<std::uintptr_t>(first);
    ranges.stack_end = ranges.stack_first + size;
}

// Return file and line of a place in the code, as far as they are known.
std::string line_of(const void *code) {
    Dl_info info;
    if (!dladdr(code, &info)) return "?";
    char command[4096];
    std::snprintf(command, sizeof command, "addr2line -e '%s' 0x%zx 2>/dev/null", info.dli_fname,
                  static_cast<std::size_t>(static_cast<const char *>(code) -
                                           static_cast<const char *>(info.dli_fbase)) - 1);
    std::string text;
    if (FILE *pipe = popen(command, "r")) {
        char line[1024];
        if (std::fgets(line, sizeof line, pipe)) text = line;
        pclose(pipe);
    }
    return text.substr(0, text.find('\n'));
}

const char *const NAMES[] = {"loads", "stores", "adds to"};

void report(Worker &worker, const void *place, std::size_t size, Access access, const void *code,
            const std::string &what) {
    if (++found > SHOWN) return;
    const Self &self = worker.current->self;
    std::fprintf(stderr, "emulator: %s, block (%u, %u), thread %u %s %zu bytes at %p, %s; %s\n",
                 worker.kernel(), self.block.x, self.block.y, worker.current->number, NAMES[access],
                 size, place, what.c_str(), line_of(code).c_str());
}

std::string told(const char *how, const Touch &other) {
    const std::string who = other.thread == MANY ? "other threads" : "thread " + std::to_string(other.thread);
    return std::string("which ") + who + " of " +
           (other.block == MANY ? "other blocks " : "block " + std::to_string(other.block) + " ") + how +
           " without a barrier between";
}

void touch(const void *place, std::size_t size, Access access, const void *code) {
    Worker &worker = emulator::worker();
    if (!worker.current) return;  // the host's own code
    const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(place);
    if (worker.is_own(place)) return;
    const bool shared = worker.is_shared(place);
    if (!shared && !memory().holds(place, size)) {
        if (ranges.stack_first <= at && at < ranges.stack_end) return;
        if (!ranges.holds(at)) find_modules();
        if (!ranges.holds(at) && !(ranges.stack_first <= at && at < ranges.stack_end))
            report(worker, place, size, access, code, "outside of all that was allocated");
        return;
    }
    const Self &self = worker.current->self;
    const std::uint32_t block =
        self.block.x + self.grid_size.x * (self.block.y + self.grid_size.y * self.block.z);
    const std::uint32_t launch = static_cast<std::uint32_t>(worker.number) + FIRST;
    if (counts) {
        if (shared) return;
        if (counted != worker.kernel()) {
            counted = worker.kernel();
            own_traffic = &kernels[counted];
        }
        (access == LOAD ? own_traffic->loads
                        : access == STORE ? own_traffic->stores : own_traffic->atomics)++;
        const std::uint64_t here = (std::uint64_t(launch) << 40) ^ (std::uint64_t(block) << 16) ^ worker.epoch;
        if (here != stretch) {
            sectors.clear();
            times.clear();
            stretch = here;
        }
        const std::uint64_t thread = worker.current->number;
        const unsigned time = times[reinterpret_cast<std::uintptr_t>(code) ^ thread << 48]++;
        const std::uint64_t way = thread / WARP << 2 | access;
        const std::uint64_t key = (at / SECTOR) * 0x9E3779B97F4A7C15ull ^ way * 0x94D049BB133111EBull;
        own_traffic->distinct += sectors.insert(key).second;
        own_traffic->sectors += sectors.insert(key ^ (time + 1) * 0xBF58476D1CE4E5B9ull).second;
        return;  // what is counted is not checked
    }
    const Touch now{launch, block, static_cast<std::uint16_t>(worker.current->number),
                    static_cast<std::uint16_t>(worker.epoch), access == ATOMIC};
    const auto clash = [&](const Touch &other) {
        if (other.launch != launch || (now.atomic && other.atomic)) return false;
        if (other.block != block) return !shared;
        return other.thread != now.thread && other.epoch == now.epoch;
    };
    for (std::uintptr_t byte = at; byte < at + size; byte++) {
        Shadow &shadow = emulator::shadow(byte);
        const bool unwritten = shared ? shadow.write.launch != launch || shadow.write.block != block
                                      : shadow.write.launch == NEVER;
        std::string what;
        if (access != STORE && unwritten)
            what = "which nobody wrote";
        else if (clash(shadow.write))
            what = told("writes", shadow.write);
        else if (access != LOAD && clash(shadow.read))
            what = told("reads", shadow.read);
        if (!what.empty()) {
            report(worker, place, size, access, code, what);
            break;
        }
        if (access != LOAD) {
            shadow.write = now;
            continue;
        }
        Touch &read = shadow.read;
        const bool again = read.launch == launch && !(shared && read.block != block);
        if (!again) {
            read = now;
        } else if (read.block != block) {
            read.block = MANY;
        } else if (read.epoch != now.epoch) {
            read = now;
        } else if (read.thread != now.thread) {
            read.thread = MANY;
        }
    }
}

}  // namespace

const Traffic &traffic(const char *kernel) { return kernels[kernel]; }
void count_traffic() { counts = true; }
int faults() { return found; }

bool is_checked() {
    static const bool checked = setting("EMULATOR_CHECKED", 0);
    return checked;
}

void unset(const void *first, std::size_t size) {
    const auto at = reinterpret_cast<std::uintptr_t>(first);
    for (std::size_t i = 0; i < size; i++) shadow(at + i) = {};
}

void set(const void *first, std::size_t size) {
    const auto at = reinterpret_cast<std::uintptr_t>(first);
    for (std::size_t i = 0; i < size; i++) shadow(at + i).write = {BY_HOST};
}

extern "C" {

void emulator_access(const void *address, std::size_t size, Access access) {
    touch(address, size, access, __builtin_return_address(0));
}

#define EMULATOR_HOOKS(size)                                                               \
    void __tsan_read##size(void *p) { touch(p, size, LOAD, __builtin_return_address(0)); }   \
    void __tsan_write##size(void *p) { touch(p, size, STORE, __builtin_return_address(0)); } \
    void __tsan_unaligned_read##size(void *p) {                                            \
        touch(p, size, LOAD, __builtin_return_address(0));                                 \
    }                                                                                      \
    void __tsan_unaligned_write##size(void *p) {                                           \
        touch(p, size, STORE, __builtin_return_address(0));                                \
    }
EMULATOR_HOOKS(1)
EMULATOR_HOOKS(2)
EMULATOR_HOOKS(4)
EMULATOR_HOOKS(8)
EMULATOR_HOOKS(16)

void __tsan_read_range(void *p, std::size_t n) { touch(p, n, LOAD, __builtin_return_address(0)); }
void __tsan_write_range(void *p, std::size_t n) { touch(p, n, STORE, __builtin_return_address(0)); }
void __tsan_vptr_update(void **, void *) {}
void __tsan_init() {}
}

}  // namespace emulator
