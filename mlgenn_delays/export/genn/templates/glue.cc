/* The functions of delaysnn_genn.h on top of the code that GeNN generated. */
#include "../delaysnn_genn.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "device.h"
#include "network.h"

namespace {

const uint32_t VERSION = 1;

/* The head of a file of weights; the constant arrays follow. */
struct Head {
    char magic[8];
    uint32_t version, crc;
    uint64_t bytes;
};

/* A trial while it runs: B examples side by side. */
struct Trial {
    bool open = false;
    uint32_t steps = 0, done = 0;
    std::vector<double> totals;   /* (B, K), of which the readout makes logits */
    std::vector<uint8_t> input;   /* (rows, B, C) of 1 or 4 bytes */
    std::vector<float> voltage;   /* (rows, B, K) */
    std::vector<uint8_t> fired;   /* (rows, B, n) of one population */
    std::vector<double> share;    /* (K,) */
    std::vector<int64_t> next;    /* (B, C), the first spike that is not in the input yet */
};

Trial trial;
std::string problem;

template <class Work> int guarded(Work work) {
    try {
        work();
        return 0;
    } catch (const std::exception &error) {
        problem = error.what();
        return 1;
    }
}

void require(bool good, const char *text) {
    if (!good) throw std::runtime_error(text);
}

size_t size_of(const Array &array) {
    const size_t rows = array.kind == SERIES ? network.rows : 1;
    return std::max<size_t>(1, rows * array.bytes);
}

uint32_t crc_of(const unsigned char *bytes, size_t size) {
    uint32_t table[256], crc = 0xffffffffu;
    for (uint32_t k = 0; k < 256; k++) {
        uint32_t value = k;
        for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ ((value & 1) ? 0xedb88320u : 0);
        table[k] = value;
    }
    for (size_t k = 0; k < size; k++) crc = (crc >> 8) ^ table[(crc ^ bytes[k]) & 255];
    return ~crc;
}

const unsigned char *check_weights(const unsigned char *bytes, size_t size) {
    Head head;
    require(size >= sizeof head, "the weights are cut short");
    std::memcpy(&head, bytes, sizeof head);
    require(!std::memcmp(head.magic, "DSNNGENN", 8), "the weights are no weights of delaysnn");
    require(head.version == VERSION, "the weights are of another version");
    require(head.bytes == network.weights && size - sizeof head == network.weights,
            "the weights are cut short, or of another network");
    require(head.crc == crc_of(bytes + sizeof head, network.weights), "the weights are damaged");
    return bytes + sizeof head;
}

void free_arrays() {
    for (Array *const *each = network.arrays; *each; each++) {
        if ((*each)->at) device_give((*each)->at);
        (*each)->at = nullptr;
    }
    trial = Trial();
}

void take_arrays(const unsigned char *weights) {
    for (Array *const *each = network.arrays; *each; each++) {
        Array &array = **each;
        array.at = device_take(size_of(array));
        device_clear(array.at, size_of(array));
        if (array.kind == CONSTANT) device_write(array.at, weights + array.offset, array.bytes);
    }
    bind_network();
}

void take_buffers() {
    const size_t outputs = size_t(network.batch) * network.outputs;
    uint32_t most = 0;
    for (uint32_t p = 0; p < network.populations; p++) most = std::max(most, network.neurons[p]);
    trial.totals.resize(outputs);
    trial.share.resize(network.outputs);
    trial.voltage.resize(network.rows * outputs);
    trial.fired.resize(size_t(network.rows) * network.batch * most);
    trial.input.resize(size_t(network.rows) * network.batch * network.inputs *
                       (network.currents ? sizeof(float) : 1));
    trial.next.resize(size_t(network.batch) * network.inputs);
}

void open(const void *bytes, size_t size) {
    free_arrays();
    const unsigned char *weights = check_weights(static_cast<const unsigned char *>(bytes), size);
    try {
        take_arrays(weights);
        take_buffers();
    } catch (...) {
        free_arrays();
        throw;
    }
    trial.open = true;
}

std::vector<unsigned char> content_of(const char *path) {
    std::FILE *file = std::fopen(path, "rb");
    require(file, "the file of weights cannot be opened");
    std::vector<unsigned char> bytes(sizeof(Head) + network.weights + 1);
    bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
    std::fclose(file);
    return bytes;
}

void begin(uint32_t steps) {
    require(trial.open, "no network is open: call dsnn_open first");
    for (Array *const *each = network.arrays; *each; each++) {
        if ((*each)->kind == STATE) device_clear((*each)->at, (*each)->bytes);
    }
    std::fill(trial.totals.begin(), trial.totals.end(), network.readout == MAX ? -INFINITY : 0.0);
    trial.steps = steps ? steps : network.steps;
    trial.done = 0;
}

void add_shares(const float *voltage, double *totals) {
    const uint32_t n = network.outputs;
    const double highest = *std::max_element(voltage, voltage + n);
    double sum = 0.0;
    for (uint32_t k = 0; k < n; k++) sum += trial.share[k] = std::exp(voltage[k] - highest);
    for (uint32_t k = 0; k < n; k++) totals[k] += trial.share[k] / sum;
}

/* Add the voltages (K,) of one example and step to what becomes its logits. */
void add_voltage(const float *voltage, double *totals) {
    if (network.readout == SOFTMAX_SUM) return add_shares(voltage, totals);
    const double weight =
        network.readout == EXPWEIGHTED ? std::exp(-double(trial.done) / trial.steps) : 1.0;
    for (uint32_t k = 0; k < network.outputs; k++) {
        if (network.readout == MAX) {
            totals[k] = std::max(totals[k], double(voltage[k]));
        } else {
            totals[k] += weight * voltage[k];
        }
    }
}

/* Run some steps, whose input is in trial.input. */
void advance(uint32_t rows) {
    if (network.input) {
        device_write(network.input->at, trial.input.data(), rows * network.input->bytes);
    }
    {
        Steps around;
        for (uint32_t row = 0; row < rows; row++) step_network(row);
    }
    device_read(trial.voltage.data(), network.voltage->at, rows * network.voltage->bytes);
    const float *voltage = trial.voltage.data();
    for (uint32_t row = 0; row < rows; row++, trial.done++) {
        for (uint32_t e = 0; e < network.batch; e++, voltage += network.outputs) {
            add_voltage(voltage, &trial.totals[size_t(e) * network.outputs]);
        }
    }
}

void write_logits(uint32_t examples, float *logits) {
    const bool mean = network.readout == MEAN || network.readout == EXPWEIGHTED;
    const double divisor = mean ? std::max(1u, trial.done) : 1.0;
    for (size_t k = 0; k < size_t(examples) * network.outputs; k++) {
        logits[k] = float(trial.totals[k] / divisor);
    }
}

void copy_voltage(uint32_t examples, uint32_t first, uint32_t rows, float *out) {
    const float *from = trial.voltage.data();
    for (uint32_t row = 0; row < rows; row++, from += size_t(network.batch) * network.outputs) {
        for (size_t k = 0; k < size_t(examples) * network.outputs; k++) out[k * trial.steps + first + row] = from[k];
    }
}

uint32_t n_neurons() {
    uint32_t total = 0;
    for (uint32_t p = 0; p < network.populations; p++) total += network.neurons[p];
    return total;
}

void copy_spikes(uint32_t examples, uint32_t first, uint32_t rows, uint8_t *out) {
    const size_t total = n_neurons();
    size_t before = 0;
    for (uint32_t p = 0; p < network.populations; before += network.neurons[p++]) {
        const uint32_t n = network.neurons[p];
        device_read(trial.fired.data(), network.fired[p]->at, rows * network.fired[p]->bytes);
        for (uint32_t row = 0; row < rows; row++) {
            for (uint32_t e = 0; e < examples; e++) {
                const uint8_t *from = &trial.fired[(size_t(row) * network.batch + e) * n];
                uint8_t *to = out + (e * total + before) * trial.steps + first + row;
                for (uint32_t j = 0; j < n; j++) {
                    if (from[j]) to[size_t(j) * trial.steps] = 1;
                }
            }
        }
    }
}

/* Run whole trials; fill(first, rows) puts what comes in from step first on into trial.input. */
template <class Fill>
void run(uint32_t examples, uint32_t steps, Fill fill, float *logits, float *voltage,
         uint8_t *spikes) {
    require(examples >= 1 && examples <= network.batch, "there are more examples than DSNN_BATCH");
    require(steps >= 1, "a trial must have a step");
    begin(steps);
    for (uint32_t first = 0, rows; first < steps; first += rows) {
        rows = std::min(network.rows, steps - first);
        std::fill(trial.input.begin(), trial.input.end(), 0);
        fill(first, rows);
        advance(rows);
        if (voltage) copy_voltage(examples, first, rows, voltage);
        if (spikes) copy_spikes(examples, first, rows, spikes);
    }
    write_logits(examples, logits);
}

void put_spikes(uint32_t examples, const int64_t *start, const int32_t *time, uint32_t first,
                uint32_t rows) {
    const uint32_t n = network.inputs;
    for (uint32_t e = 0; e < examples; e++) {
        const int64_t *own = start + e * (size_t(n) + 1);
        for (uint32_t c = 0; c < n; c++) {
            int64_t &next = trial.next[size_t(e) * n + c];
            if (first == 0) next = own[c];
            for (; next < own[c + 1] && int64_t(time[next]) < int64_t(first) + rows; next++) {
                require(time[next] >= int64_t(first), "spikes must ascend from step 0 on");
                const size_t row = uint32_t(time[next]) - first;
                trial.input[(row * network.batch + e) * n + c] = 1;
            }
        }
    }
}

void check_spikes_end(uint32_t examples, const int64_t *start) {
    const uint32_t n = network.inputs;
    for (uint32_t e = 0; e < examples; e++) {
        for (uint32_t c = 0; c < n; c++) {
            const int64_t end = start[e * (size_t(n) + 1) + c + 1];
            require(trial.next[size_t(e) * n + c] >= end, "spikes must come before the trial ends");
        }
    }
}

void put_values(uint32_t example, uint32_t row, const float *values) {
    const size_t n = network.inputs;
    for (size_t c = 0; c < n; c++) require(std::isfinite(values[c]), "values must be finite");
    const size_t at = (size_t(row) * network.batch + example) * n;
    std::memcpy(&trial.input[at * sizeof(float)], values, n * sizeof(float));
}

void check_input(bool currents) {
    require(trial.open, "no network is open: call dsnn_open first");
    require(bool(network.currents) == currents, "the network takes another kind of input");
}

void clear_row() {
    std::fill_n(trial.input.begin(), trial.input.size() / network.rows, 0);
}

} // namespace

extern "C" {

uint32_t dsnn_size(int what) {
    switch (what) {
    case DSNN_INPUTS: return network.inputs;
    case DSNN_CURRENTS: return network.currents;
    case DSNN_OUTPUTS: return network.outputs;
    case DSNN_NEURONS: return n_neurons();
    case DSNN_POPULATIONS: return network.populations;
    case DSNN_STEPS: return network.steps;
    case DSNN_BATCH: return network.batch;
    default: return 0;
    }
}

uint32_t dsnn_population(uint32_t number) {
    return number < network.populations ? network.neurons[number] : 0;
}

const char *dsnn_error(void) { return problem.c_str(); }

int dsnn_open_bytes(const void *weights, size_t size) {
    return guarded([&] { open(weights, size); });
}

int dsnn_open(const char *weights_path) {
    return guarded([&] {
        const std::vector<unsigned char> bytes = content_of(weights_path);
        open(bytes.data(), bytes.size());
    });
}

void dsnn_close(void) { free_arrays(); }

int dsnn_run_spikes(uint32_t n_examples, const int64_t *start, const int32_t *time,
                    uint32_t n_steps, float *logits, float *voltage, uint8_t *spikes) {
    return guarded([&] {
        check_input(false);
        const auto fill = [&](uint32_t first, uint32_t rows) {
            put_spikes(n_examples, start, time, first, rows);
        };
        run(n_examples, n_steps, fill, logits, voltage, spikes);
        check_spikes_end(n_examples, start);
    });
}

int dsnn_run_values(uint32_t n_examples, const float *values, uint32_t n_steps, float *logits,
                    float *voltage, uint8_t *spikes) {
    return guarded([&] {
        check_input(true);
        const auto fill = [&](uint32_t first, uint32_t rows) {
            for (uint32_t e = 0; e < n_examples; e++) {
                for (uint32_t row = 0; row < rows; row++) {
                    const size_t at = size_t(e) * n_steps + first + row;
                    put_values(e, row, values + at * network.inputs);
                }
            }
        };
        run(n_examples, n_steps, fill, logits, voltage, spikes);
    });
}

int dsnn_reset(uint32_t n_steps) {
    return guarded([&] { begin(n_steps); });
}

int dsnn_step_spikes(const uint32_t *channels, uint32_t n) {
    return guarded([&] {
        check_input(false);
        require(trial.steps, "no trial has begun: call dsnn_reset first");
        clear_row();
        for (uint32_t k = 0; k < n; k++) {
            require(channels[k] < network.inputs, "there is no channel of this number");
            trial.input[channels[k]] = 1;
        }
        advance(1);
    });
}

int dsnn_step_values(const float *values) {
    return guarded([&] {
        check_input(true);
        require(trial.steps, "no trial has begun: call dsnn_reset first");
        clear_row();
        put_values(0, 0, values);
        advance(1);
    });
}

int dsnn_voltage(float *voltage) {
    return guarded([&] {
        require(trial.done, "no step has been run");
        device_read(voltage, network.voltage->at, network.outputs * sizeof(float));
    });
}

int dsnn_spikes(uint32_t population, uint8_t *spiked) {
    return guarded([&] {
        require(trial.done, "no step has been run");
        require(population < network.populations, "there is no population of this number");
        device_read(spiked, network.fired[population]->at, network.neurons[population]);
    });
}

int dsnn_logits(float *logits) {
    return guarded([&] {
        require(trial.open, "no network is open: call dsnn_open first");
        write_logits(1, logits);
    });
}

} // extern "C"
