/* Answer one example: ./example weights.bin < FILE

   FILE has, for spikes, a line "STEP CHANNEL" for each; for currents, C numbers for each step.
   ./example weights.bin series < FILE prints the voltages of the output after each step instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delaysnn_genn.h"

static int series; /* whether voltages are printed */

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, dsnn_error());
    return 1;
}

/* Print the output's voltages after a step, if they are wanted. */
static int print_step(void) {
    const uint32_t outputs = dsnn_size(DSNN_OUTPUTS);
    float *voltage;
    uint32_t k;
    if (!series) return 0;
    voltage = malloc(outputs * sizeof *voltage);
    if (!voltage) return 1;
    if (dsnn_voltage(voltage)) return failed("dsnn_voltage");
    for (k = 0; k < outputs; k++) printf("%.9g%c", voltage[k], k + 1 < outputs ? ' ' : '\n');
    free(voltage);
    return 0;
}

/* Read the spikes of all steps, (T, C) of 0 and 1. */
static int read_spikes(uint8_t *raster, uint32_t steps, uint32_t channels) {
    unsigned long step, channel;
    int found;
    while ((found = scanf("%lu %lu", &step, &channel)) == 2) {
        if (step >= steps || channel >= channels) return 1;
        raster[step * channels + channel] = 1;
    }
    return found != EOF;
}

static int run_spikes(void) {
    const uint32_t steps = dsnn_size(DSNN_STEPS), channels = dsnn_size(DSNN_INPUTS);
    uint8_t *raster = calloc(steps, channels);
    uint32_t *now = malloc(channels * sizeof *now), t, c, n;
    int wrong = !raster || !now || read_spikes(raster, steps, channels);
    if (wrong) fprintf(stderr, "the input must have lines: STEP CHANNEL\n");
    for (t = 0; t < steps && !wrong; t++) {
        for (c = n = 0; c < channels; c++) {
            if (raster[(size_t)t * channels + c]) now[n++] = c;
        }
        wrong = dsnn_step_spikes(now, n) && failed("dsnn_step_spikes");
        wrong = wrong || print_step();
    }
    free(raster);
    free(now);
    return wrong;
}

static int run_values(void) {
    const uint32_t steps = dsnn_size(DSNN_STEPS), channels = dsnn_size(DSNN_INPUTS);
    float *values = malloc(channels * sizeof *values);
    int wrong = !values;
    uint32_t t, c;
    for (t = 0; t < steps && !wrong; t++) {
        for (c = 0; c < channels && !wrong; c++) wrong = scanf("%f", &values[c]) != 1;
        if (wrong) {
            fprintf(stderr, "the input must have %u numbers for each of %u steps\n",
                    (unsigned)channels, (unsigned)steps);
        } else {
            wrong = dsnn_step_values(values) && failed("dsnn_step_values");
            wrong = wrong || print_step();
        }
    }
    free(values);
    return wrong;
}

static int answer(void) {
    const uint32_t classes = dsnn_size(DSNN_OUTPUTS);
    float *logits = malloc(classes * sizeof *logits);
    uint32_t k, best = 0;
    if (!logits) return 1;
    if (dsnn_logits(logits)) return failed("dsnn_logits");
    for (k = 0; k < classes; k++) {
        printf("logit %u %.9g\n", (unsigned)k, logits[k]);
        if (logits[k] > logits[best]) best = k;
    }
    printf("class %u\n", (unsigned)best);
    free(logits);
    return 0;
}

int main(int count, char **arguments) {
    int wrong;
    series = count == 3 && !strcmp(arguments[2], "series");
    if (count != 2 && !series) {
        fprintf(stderr, "usage: %s weights.bin [series] < FILE\n", arguments[0]);
        return 2;
    }
    if (dsnn_open(arguments[1])) return failed(arguments[1]);
    if (dsnn_reset(0)) return failed("dsnn_reset");
    wrong = dsnn_size(DSNN_CURRENTS) ? run_values() : run_spikes();
    wrong = wrong || (!series && answer());
    dsnn_close();
    return wrong;
}
