/* Memory of the device that a network runs on. What fails throws std::runtime_error. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stddef.h>

void *device_take(size_t bytes);
void device_give(void *at);
void device_clear(void *at, size_t bytes);
void device_write(void *at, const void *from, size_t bytes);
void device_read(void *to, const void *at, size_t bytes);

/* Stands around steps: numbers too small to matter count as 0, where they would cost time. */
struct Steps {
    Steps();
    ~Steps();
    unsigned int kept;
};

#endif
