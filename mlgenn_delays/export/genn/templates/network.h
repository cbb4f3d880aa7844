/* What network.cc tells glue.cc of a network. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stddef.h>
#include <stdint.h>

enum Kind {
    STATE,    /* 0 when a trial begins */
    CONSTANT, /* as in the file of weights */
    SERIES    /* a row a step */
};

/* An array on the device. */
struct Array {
    Kind kind;
    size_t bytes;  /* of a row, if it is a series */
    size_t offset; /* in the file of weights, if it is constant */
    void *at;
};

enum Readout { MEAN, SUM, MAX, EXPWEIGHTED, SOFTMAX_SUM };

struct Network {
    uint32_t inputs, currents, outputs, populations, steps, batch;
    Readout readout;
    uint32_t rows;            /* of each series */
    uint64_t weights;         /* bytes of all constant arrays */
    const uint32_t *neurons;  /* of each population that spikes */
    Array *const *arrays;     /* all, up to a null pointer */
    Array *const *fired;      /* (batch, n) uint8_t a row, by population that spikes */
    Array *input;             /* (batch, C) uint8_t or float a row; null if nothing reads it */
    Array *voltage;           /* (batch, K) float a row */
};

extern const Network network;

/* Tell GeNN's code where the arrays are. */
void bind_network();

/* Run one step, whose rows of the series have this number. */
void step_network(uint32_t row);

#endif
