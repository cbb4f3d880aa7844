/* Runs examples on a Cortex-M of an emulator: start-up code, semihosting and the loop of a trial.

   input.bin    uint32 examples; for each of their steps INPUTS floats, or uint32 n and n uint32
                channels that spike
   output.bin   for each step uint32 instructions in ticks, for each hidden population uint32 n and
                n uint32 neurons; for each trial int32 label and OUTPUTS floats; at the end uint32
                bytes of stack that the model's functions took, and the ticks of an empty call */
#include "delaysnn_model.h"

enum { OPEN = 1, WRITE = 5, READ = 6, EXIT = 0x18 };
#define REGISTER(address) (*(volatile uint32_t *)(address))
#define TICK_CONTROL REGISTER(0xE000E010)
#define TICK_RELOAD REGISTER(0xE000E014)
#define TICK_VALUE REGISTER(0xE000E018)
#define COPROCESSORS REGISTER(0xE000ED88)
#define PAINT 0xA5C3A5C3u

extern uint32_t data_from[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
int main(void);
void reset(void);

static uint32_t host(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void stop(uint32_t code)
{
    host(EXIT, (const void *)(code == 0 ? 0x20026u : 0x20024u));
    for (;;) {
    }
}

static void fault(void)
{
    stop(1);
}

void reset(void)
{
    uint32_t *from = data_from;
    for (uint32_t *to = data_start; to < data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = bss_start; to < bss_end; to++) {
        *to = 0;
    }
#if defined(__ARM_FP)
    COPROCESSORS |= 0xFu << 20;
    __asm__ volatile("dsb\n isb");
#endif
    stop((uint32_t)main());
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault}};

static uint32_t input, output;

static uint32_t opened(const char *name, uint32_t length, uint32_t mode)
{
    const uint32_t arguments[3] = {(uint32_t)name, mode, length};
    return host(OPEN, arguments);
}

static void take(void *to, uint32_t n)
{
    const uint32_t arguments[3] = {input, (uint32_t)to, n};
    if (n > 0 && host(READ, arguments) != 0) {
        stop(1);
    }
}

static void give(const void *from, uint32_t n)
{
    const uint32_t arguments[3] = {output, (uint32_t)from, n};
    if (n > 0 && host(WRITE, arguments) != 0) {
        stop(1);
    }
}

static uint32_t whole(void)
{
    uint32_t value;
    take(&value, sizeof value);
    return value;
}

#if DELAYSNN_CURRENTS
static float values[DELAYSNN_INPUTS];
#define TAKE take(values, sizeof values)
#define STEP delaysnn_step_values(values)
#else
static uint32_t n_channels;
static uint32_t one;
static delaysnn_index channels[DELAYSNN_INPUTS];
static void take_channels(void)
{
    n_channels = whole();
    for (uint32_t k = 0; k < n_channels; k++) {
        one = whole();
        channels[k] = (delaysnn_index)one;
    }
}
#define TAKE take_channels()
#define STEP delaysnn_step_spikes(channels, n_channels)
#endif

static delaysnn_index neurons[DELAYSNN_LARGEST];
static float logits[DELAYSNN_OUTPUTS];

static void give_spikes(void)
{
    for (int p = 0; p < DELAYSNN_HIDDEN; p++) {
        const uint32_t n = delaysnn_spikes(p, neurons);
        give(&n, sizeof n);
        for (uint32_t k = 0; k < n; k++) {
            const uint32_t neuron = neurons[k];
            give(&neuron, sizeof neuron);
        }
    }
}

__attribute__((noinline)) static void nothing(void)
{
    __asm__ volatile("");
}

static uint32_t since(uint32_t before)
{
    return (before - TICK_VALUE) & 0xFFFFFFu;
}

__attribute__((noinline)) static uint32_t timed_step(void)
{
    const uint32_t before = TICK_VALUE;
    STEP;
    return since(before);
}

__attribute__((noinline)) static uint32_t timed_nothing(void)
{
    const uint32_t before = TICK_VALUE;
    nothing();
    return since(before);
}

static uint32_t *lowest;

/* Paints the stack below, of at most 4 KiB; its own frame has 64 bytes at most. */
__attribute__((noinline)) static void paint(void)
{
    uint32_t *const here = __builtin_frame_address(0);
    lowest = here - bss_end > 1024 ? here - 1024 : bss_end;
    for (uint32_t *p = lowest; p < here - 16; p++) {
        *p = PAINT;
    }
}

/* Bytes down to the lowest that is no longer painted. */
__attribute__((noinline)) static uint32_t depth(void)
{
    uint32_t *const here = __builtin_frame_address(0);
    const uint32_t *p = lowest;
    while (p < here && *p == PAINT) {
        p++;
    }
    return (uint32_t)((uint8_t *)here - (const uint8_t *)p);
}

int main(void)
{
    TICK_RELOAD = 0xFFFFFFu;
    TICK_VALUE = 0;
    TICK_CONTROL = 5;
    input = opened("input.bin", 9, 1);
    output = opened("output.bin", 10, 5);
    const uint32_t examples = whole();
    uint32_t deepest = 0;
    for (uint32_t e = 0; e < examples; e++) {
        delaysnn_reset();
        for (uint32_t t = 0; t < DELAYSNN_STEPS; t++) {
            TAKE;
            paint();
            const uint32_t ticks = timed_step();
            const uint32_t now = depth();
            deepest = now > deepest ? now : deepest;
            give(&ticks, sizeof ticks);
            give_spikes();
        }
        const int32_t label = delaysnn_read(logits);
        give(&label, sizeof label);
        give(logits, sizeof logits);
    }
    const uint32_t last[2] = {deepest, timed_nothing()};
    give(last, sizeof last);
    return 0;
}
