// What kernels do with memory: counted, and checked. Works for code compiled with -fsanitize=thread,
// whose calls before each load and store come here instead of to a library of the compiler's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

// What a kernel asked of the device's memory.
struct Traffic {
    std::uint64_t loads = 0, stores = 0, atomics = 0;
    // Pieces of 32 bytes that a warp loads, stores or adds to: in one pass through a loop, where its
    // threads work together; and between two barriers, each counted once.
    std::uint64_t sectors = 0, distinct = 0;
};

const Traffic &traffic(const char *kernel);
void count_traffic();                                    // from now on; it costs time
void unset(const void *first, std::size_t size);         // nothing was written here
void set(const void *first, std::size_t size);           // the host wrote here
int faults();                                            // that were found
bool is_checked();                                       // whether kernels tell what they touch

}  // namespace emulator
