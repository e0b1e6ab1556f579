/* checkpoint.h - -checkpoint FILE: memory and disks of one moment on disk, again and again; see checkpoint.c. */
#ifndef FRONTENDS_HOST_CHECKPOINT_H
#define FRONTENDS_HOST_CHECKPOINT_H

struct checkpointer;

#endif
