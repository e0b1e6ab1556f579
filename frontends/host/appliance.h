/* appliance.h - OVA archives and OVF descriptors: which disks, how much memory. */
#ifndef FRONTENDS_HOST_APPLIANCE_H
#define FRONTENDS_HOST_APPLIANCE_H

#include "mem/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { APPLIANCE_DISKS = 8 };

struct appliance {
    char name[128];
    uint64_t memory_bytes; /* 0: not said */
    unsigned processors;   /* 0: not said */
    char nic[32];          /* model of the first network card as written there; "": none */
    bool is_archive;       /* OVA: disks lie in the file at `offset`; otherwise they are files of its folder */
    unsigned disk_count;
    struct {
        char file[256];
        uint64_t offset, size; /* in the archive, bytes */
    } disks[APPLIANCE_DISKS];
};

/* False with `err` set and a hint. */
bool appliance_read(const char *path, struct appliance *appliance, struct error *err);

#endif
