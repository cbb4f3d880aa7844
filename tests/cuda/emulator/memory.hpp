// The memory of the device, which driver and runtime share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace emulator {

constexpr int UNSET = 0xFF;  // of each byte that nothing was written to: no number as a float

// Return a whole number of the environment.
std::uint64_t setting(const char *name, std::uint64_t otherwise);

class Memory {
public:
    void *allocate(std::size_t size);  // null where there is not enough
    bool free(void *place);            // whether a piece began there
    // Whether so many bytes from a place on are of one piece.
    bool holds(const void *place, std::size_t size) const;
    std::size_t used() const { return used_; }
    std::size_t limit() const { return limit_; }

private:
    const std::size_t limit_ = setting("EMULATOR_MEMORY", std::uint64_t(8) << 30);
    // What is found to write past the end of a piece shall not end the process before it is told.
    const std::size_t guard_ = setting("EMULATOR_CHECKED", 0) ? 4096 : 0;
    std::size_t used_ = 0;
    std::map<char *, std::size_t> pieces_;  // where each begins, and how long it is
};

Memory &memory();
int devices();

}  // namespace emulator
