#include "memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace emulator {

std::uint64_t setting(const char *name, std::uint64_t otherwise) {
    const char *text = std::getenv(name);
    return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

void *Memory::allocate(std::size_t size) {
    void *place = nullptr;
    if (size > limit_ - used_ || posix_memalign(&place, 256, std::max<std::size_t>(1, size + guard_)))
        return nullptr;
    std::memset(place, UNSET, size);
    pieces_[static_cast<char *>(place)] = size;
    used_ += size;
    return place;
}

bool Memory::free(void *place) {
    const auto found = pieces_.find(static_cast<char *>(place));
    if (found == pieces_.end()) return false;
    used_ -= found->second;
    pieces_.erase(found);
    std::free(place);
    return true;
}

bool Memory::holds(const void *place, std::size_t size) const {
    char *const first = static_cast<char *>(const_cast<void *>(place));
    auto piece = pieces_.upper_bound(first);
    if (piece == pieces_.begin()) return false;
    --piece;
    return first + size <= piece->first + piece->second;
}

Memory &memory() {
    static Memory device;
    return device;
}

int devices() { return static_cast<int>(setting("EMULATOR_DEVICES", 1)); }

}  // namespace emulator
