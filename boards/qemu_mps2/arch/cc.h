// What lwIP asks about the compiler and the C library.
#ifndef BRANCHLINE_QEMU_MPS2_CC_H
#define BRANCHLINE_QEMU_MPS2_CC_H

#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x)
#define LWIP_NO_CTYPE_H (1)

#endif
