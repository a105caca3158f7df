#include "pencil/blas_room.h"

#include <pthread.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <new>
#include <thread>

#include "pencil/lapack.h"

namespace tfqz {
namespace {

// OpenBLAS's buffer, with what aligns it.
#if defined(__x86_64__)
constexpr std::size_t kBuffer = std::size_t{33} << 20;
#else
constexpr std::size_t kBuffer = std::size_t{129} << 20;
#endif

std::atomic<int> inside{0};

// Whether the system grants so many buffers, as OpenBLAS asks for them. They take no memory before they are written to.
bool is_room_for(int count) {
  const std::size_t size = count * kBuffer;
  void* const place = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return false;
  munmap(place, size);
  return true;
}

// Makes OpenBLAS take its first buffer, which whoever is alone has from now on.
bool take_first_buffer() {
  if (!is_room_for(1)) throw std::bad_alloc();
  const LapackInt one = 1;
  const double x = 1, zero = 0;
  double square = 0;
  Lapack<double>::herk("L", "N", &one, &one, &x, &x, &one, &zero, &square, &one, 1, 1);
  // The threads inside are not in a child process.
  if (pthread_atfork(nullptr, nullptr, [] { inside = 0; }) != 0) throw std::bad_alloc();
  return true;
}

}  // namespace

BlasRoom::BlasRoom() {
  [[maybe_unused]] static const bool first = take_first_buffer();
  while (!try_enter()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

BlasRoom::~BlasRoom() { leave(); }

bool BlasRoom::try_enter() {
  // Some of those inside may still need a buffer of their own.
  const int others = inside.fetch_add(1);
  if (others == 0 || is_room_for(others + 1)) return true;
  leave();
  return false;
}

void BlasRoom::leave() { --inside; }

}  // namespace tfqz
