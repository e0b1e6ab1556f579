/* images.h - kernels, modules and bare FILE arguments: what they are and what to do with them. */
#ifndef FRONTENDS_IMAGES_H
#define FRONTENDS_IMAGES_H

#include "frontends/options.h"

struct images {
    struct tick86_blob kernel;
    struct tick86_blob modules[TICK86_MODULES_MAX + 1]; /* the first is Linux' initrd */
    char *module_names[TICK86_MODULES_MAX + 1];         /* "FILE ARGUMENTS"; owned */
    unsigned module_count;
};

/* Tells bare FILE arguments apart by content and sets the options they stand for, which it prints; fills in the defaults
 * that depend on them. False with `err` set. */
bool images_choose(struct options *options, struct error *err);

/* Maps -kernel and -initrd. */
bool images_map(struct images *images, const struct options *options, struct error *err);
void images_unmap(struct images *images);
/* Lets the host take the pages back for now. */
void images_relax(const struct images *images);

#endif
