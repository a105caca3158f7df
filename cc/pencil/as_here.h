// What work that another thread does for this one has of this one. No TensorFlow header.
#ifndef TFQZ_AS_HERE_H_
#define TFQZ_AS_HERE_H_

#include "pencil/fork.h"

namespace tfqz {

// Does the same, one after the other where there is no room for two. In whatever thread: what interrupts this thread's work interrupts it,
// denormals are numbers, and what it throws is thrown here, once both are done. This thread has a BlasRoom.
Fork as_here(Fork fork);

}  // namespace tfqz

#endif  // TFQZ_AS_HERE_H_
