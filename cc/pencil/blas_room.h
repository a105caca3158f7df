// Room for what OpenBLAS works in. No TensorFlow header.
#ifndef TFQZ_BLAS_ROOM_H_
#define TFQZ_BLAS_ROOM_H_

namespace tfqz {

// What a thread holds that calls BLAS or LAPACK, from before the first call to behind the last one.
//
// OpenBLAS takes a buffer for each call that runs at once, keeps it for later ones, and ends the process where it can't have it. So as many
// threads call it at once as there is memory for, and one at least: the others wait.
class BlasRoom {
 public:
  // Waits. Throws std::bad_alloc where there is no room for a single one.
  BlasRoom();
  ~BlasRoom();
  BlasRoom(const BlasRoom&) = delete;
  BlasRoom& operator=(const BlasRoom&) = delete;

 private:
  friend class BlasRoomForTwo;
  static bool try_enter();
  static void leave();
};

// What a thread that has room for itself holds where another one does half of its work: true if there is.
class BlasRoomForTwo {
 public:
  BlasRoomForTwo() : entered_(BlasRoom::try_enter()) {}
  ~BlasRoomForTwo() {
    if (entered_) BlasRoom::leave();
  }
  BlasRoomForTwo(const BlasRoomForTwo&) = delete;
  BlasRoomForTwo& operator=(const BlasRoomForTwo&) = delete;

  explicit operator bool() const { return entered_; }

 private:
  const bool entered_;
};

}  // namespace tfqz

#endif  // TFQZ_BLAS_ROOM_H_
