// cuRAND's names over a generator of our own (splitmix64): GeNN's code includes it, our models draw nothing on the device.
#pragma once
#include "emulated_cuda.h"

struct curandState {
    unsigned d;
    unsigned v[5];
    unsigned long long state;
};

struct curandStatePhilox4_32_10_t {
    unsigned long long state;
};

template <class Generator>
unsigned curand(Generator *generator) {
    unsigned long long z = (generator->state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return static_cast<unsigned>((z ^ (z >> 31)) >> 32);
}

template <class Generator>
double curand_uniform_double(Generator *generator) {
    return (curand(generator) + 1.0) / 4294967296.0;
}

template <class Generator>
float curand_uniform(Generator *generator) {
    return static_cast<float>(curand_uniform_double(generator));
}

template <class Generator>
double curand_normal_double(Generator *generator) {
    const double radius = std::sqrt(-2.0 * std::log(curand_uniform_double(generator)));
    return radius * std::cos(6.283185307179586 * curand_uniform_double(generator));
}

template <class Generator>
float curand_normal(Generator *generator) {
    return static_cast<float>(curand_normal_double(generator));
}

template <class Generator>
float curand_log_normal_float(Generator *generator, float mean, float deviation) {
    return std::exp(mean + deviation * curand_normal(generator));
}

template <class Generator>
double curand_log_normal_double(Generator *generator, double mean, double deviation) {
    return std::exp(mean + deviation * curand_normal_double(generator));
}

template <class Generator>
void curand_init(unsigned long long seed, unsigned long long sequence, unsigned long long,
                 Generator *generator) {
    generator->state = seed * 0x2545F4914F6CDD1Dull + sequence * 0x9E3779B97F4A7C15ull;
}

template <class Generator>
void skipahead_sequence(unsigned long long n, Generator *generator) {
    generator->state += n * 0xD1B54A32D192ED03ull;
}
