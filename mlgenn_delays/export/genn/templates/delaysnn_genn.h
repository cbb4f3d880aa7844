/* A spiking network with synaptic delays, ready to run. See README.md.

   A library holds one network. It is not safe to use from several threads at once. Every function
   that returns int returns 0, or 1 where it failed: dsnn_error() then says why. */
#ifndef DELAYSNN_GENN_H
#define DELAYSNN_GENN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the network is made of, for dsnn_size. */
enum {
    DSNN_INPUTS,      /* C, channels of the input */
    DSNN_CURRENTS,    /* 1 if the input is sampled currents, 0 if it is spikes */
    DSNN_OUTPUTS,     /* K, classes or series */
    DSNN_NEURONS,     /* N, neurons that spike, of all populations */
    DSNN_POPULATIONS, /* of neurons that spike */
    DSNN_STEPS,       /* T, length of a trial as trained */
    DSNN_BATCH        /* B, examples that can run side by side */
};

uint32_t dsnn_size(int what);

/* Neurons of a population that spikes, 0 if there is none of this number. */
uint32_t dsnn_population(uint32_t number);

/* Why the last call failed. */
const char *dsnn_error(void);

/* Take up the network whose weights are in a file, or in memory. What was open is closed. */
int dsnn_open(const char *weights_path);
int dsnn_open_bytes(const void *weights, size_t size);
void dsnn_close(void);

/* Run n_examples whole trials, at most DSNN_BATCH.

   start    (n_examples, C + 1): channel c of example e spikes at time[start[c]] ..
            time[start[c + 1] - 1] of row e
   time     steps, ascending within a channel, below n_steps
   values   (n_examples, n_steps, C)
   logits   (n_examples, K)
   voltage  (n_examples, K, n_steps) of the output after each step, or NULL
   spikes   (n_examples, N, n_steps), 1 where a neuron spiked and else left as it is, or NULL */
int dsnn_run_spikes(uint32_t n_examples, const int64_t *start, const int32_t *time,
                    uint32_t n_steps, float *logits, float *voltage, uint8_t *spikes);
int dsnn_run_values(uint32_t n_examples, const float *values, uint32_t n_steps, float *logits,
                    float *voltage, uint8_t *spikes);

/* Begin a trial of n_steps, DSNN_STEPS if 0, to be run step by step. */
int dsnn_reset(uint32_t n_steps);

/* Run one step, in which the given channels spike or the given (C,) values flow. */
int dsnn_step_spikes(const uint32_t *channels, uint32_t n);
int dsnn_step_values(const float *values);

/* Write the output's voltages (K,) after the last step; which neurons (n,) of a population spiked
   in it, 1 or 0; and the logits (K,) of the trial so far. */
int dsnn_voltage(float *voltage);
int dsnn_spikes(uint32_t population, uint8_t *spiked);
int dsnn_logits(float *logits);

#ifdef __cplusplus
}
#endif

#endif
