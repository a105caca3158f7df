// Preloaded by test_out_of_memory.py: memory that tfqz's libraries ask C++ for runs out, and nobody else's does.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

constexpr std::size_t kUsual = alignof(std::max_align_t);

struct Range {
  std::uintptr_t begin, end;
};
Range ranges[16];
std::atomic<int> range_count{0};
std::atomic<long> limit{-1};  // how many allocations there are; without end if negative
std::atomic<long> asked{0};
std::atomic<bool> no_threads{false};

int add_ranges(dl_phdr_info* info, std::size_t, void*) {
  if (std::strstr(info->dlpi_name, "libtfqz_") == nullptr) return 0;
  for (int i = 0; i < info->dlpi_phnum && range_count < 16; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
    ranges[range_count] = {begin, begin + segment.p_memsz};
    ++range_count;
  }
  return 0;
}

void* allocate(std::size_t size, std::size_t alignment, void* caller) {
  const auto address = reinterpret_cast<std::uintptr_t>(caller);
  for (int i = 0; limit >= 0 && i < range_count; ++i) {
    if (address >= ranges[i].begin && address < ranges[i].end && asked++ >= limit) throw std::bad_alloc();
  }
  void* memory = nullptr;
  if (posix_memalign(&memory, std::max(alignment, kUsual), std::max<std::size_t>(size, 1)) != 0) throw std::bad_alloc();
  return memory;
}

}  // namespace

// From now on `count` allocations are granted, and no more; all, if negative. Returns how many there would have been since the last call.
extern "C" long starve(long count) {
  range_count = 0;
  dl_iterate_phdr(add_ranges, nullptr);
  limit = count;
  return asked.exchange(0);
}

// From now on nobody in the process gets a thread, if so.
extern "C" void refuse_threads(int whether) { no_threads = whether != 0; }

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  static const auto next = reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return no_threads ? EAGAIN : next(thread, attributes, start, argument);
}

void* operator new(std::size_t size) { return allocate(size, kUsual, __builtin_return_address(0)); }
void* operator new[](std::size_t size) { return allocate(size, kUsual, __builtin_return_address(0)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
