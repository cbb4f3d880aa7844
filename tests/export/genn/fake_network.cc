// A network of three examples side by side, for glue.cc without GeNN: each channel is a neuron that
// fires with it, and the output's V is how often the channel has spiked.
#include "network.h"

const uint32_t B = 3, C = 2, ROWS = 4;

static Array Input = {SERIES, B * C, 0, nullptr};
static Array Count = {STATE, B * C * sizeof(float), 0, nullptr};
static Array Fired = {SERIES, B * C, 0, nullptr};
static Array Voltage = {SERIES, B * C * sizeof(float), 0, nullptr};
static Array *const arrays[] = {&Input, &Count, &Fired, &Voltage, nullptr};
static Array *const fired[] = {&Fired, nullptr};
static const uint32_t neurons[] = {C, 0};
const Network network = {C,    0, C,       1,      10,    B,
                         MEAN, ROWS, 0, neurons, arrays, fired,
                         &Input, &Voltage};

void bind_network() {}

void step_network(uint32_t row) {
    for (uint32_t k = 0; k < B * C; k++) {
        const uint8_t spike = static_cast<uint8_t *>(Input.at)[row * B * C + k];
        static_cast<uint8_t *>(Fired.at)[row * B * C + k] = spike;
        float &count = static_cast<float *>(Count.at)[k];
        count += spike;
        static_cast<float *>(Voltage.at)[row * B * C + k] = count;
    }
}
