"""The files that come with the model: test program, example, Makefile and README."""

from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.c.costs import Costs
from mlgenn_delays.export.c.layout import CProgram
from mlgenn_delays.export.c.text import comment

TEST = r"""
/* Runs examples of a text file, or of standard input, and prints what the network makes of them.

     test_model [--spikes] [FILE]
     test_model --time N           times steps with N inputs each

   An example is

     example E                     E inputs follow, in the order of their steps
     @INPUT@
     expect LABEL LOGIT ...        what must come out; may be left out

   The program ends with 1 if something else than expected came out, with 2 if the file is wrong. */
#include "@prefix@_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static FILE *file;
static int show_spikes;
static float logits[@P@_OUTPUTS];
static long total_spikes;
@BUFFER@

static void fail(const char *why)
{
    fprintf(stderr, "test_model: %s\n", why);
    exit(2);
}

static long number(void)
{
    long value;
    if (fscanf(file, "%ld", &value) != 1) {
        fail("a whole number is missing");
    }
    return value;
}

static void print_spikes(unsigned long step)
{
    static @prefix@_index neurons[@P@_LARGEST];
    for (int p = 0; p < @P@_HIDDEN; p++) {
        const size_t n = @prefix@_spikes(p, neurons);
        total_spikes += (long)n;
        for (size_t k = 0; show_spikes && k < n; k++) {
            printf("spike %d %lu %lu\n", p, step, (unsigned long)neurons[k]);
        }
    }
}

static void print_text(const char *text)
{
    for (; *text != '\0'; text++) {
        putchar((unsigned char)*text < 32 || *text == 127 ? ' ' : *text);
    }
    putchar('\n');
}

/* Runs one trial whose events follow in the file; the next event is read one step ahead. */
static int run(void)
{
    long left = number(), step = -1, before = 0;
    total_spikes = 0;
    @prefix@_reset();
    for (long t = 0; t < @P@_STEPS; t++) {
        @CLEAR@
        while (left > 0) {
            if (step < 0) {
                step = number();
                if (step < before || step >= @P@_STEPS) {
                    fail("steps must ascend and be below the length of a trial");
                }
                before = step;
            }
            if (step > t) {
                break;
            }
            const long channel = number();
            if (channel < 0 || channel >= @P@_INPUTS) {
                fail("there is no such channel");
            }
            @TAKE@
            step = -1;
            left--;
        }
        @STEP@
        print_spikes((unsigned long)t);
    }
    return @prefix@_read(logits);
}

static int expected(int label)
{
    int good = number() == label;
    float most = 0.0f, off = 0.0f;
    for (int k = 0; k < @P@_OUTPUTS; k++) {
        float wanted;
        if (fscanf(file, "%f", &wanted) != 1) {
            fail("a logit is missing");
        }
        most = fmaxf(most, fabsf(wanted));
        off = fmaxf(off, fabsf(logits[k] - wanted));
    }
    good = good && off <= 1e-4f * most + 1e-5f;
    printf("%s\n", good ? "as expected" : "NOT as expected");
    return good;
}

/* Times steps with n inputs each, at places that change from step to step. */
static void measure(size_t n)
{
    const unsigned long steps = 20000;
    unsigned long spikes = 0;
    @prefix@_reset();
    const clock_t start = clock();
    for (unsigned long t = 0; t < steps; t++) {
        @FILL@
        @STEP@
        print_spikes(t);
    }
    const double seconds = (double)(clock() - start) / (double)CLOCKS_PER_SEC;
    spikes = (unsigned long)total_spikes;
    printf("%.1f ns a step, %lu inputs and %.2f hidden spikes in each\n",
           1e9 * seconds / (double)steps, (unsigned long)n, (double)spikes / (double)steps);
}

int main(int argc, char **argv)
{
    char word[16];
    int label = -1, runs = 0, checked = 0, good = 0;
    file = stdin;
    for (int k = 1; k < argc; k++) {
        if (strcmp(argv[k], "--spikes") == 0) {
            show_spikes = 1;
        } else if (strcmp(argv[k], "--time") == 0 && k + 1 < argc) {
            const long n = atol(argv[k + 1]);
            if (n < 0 || n > @P@_INPUTS) {
                fail("so many inputs there are not");
            }
            measure((size_t)n);
            return 0;
        } else if ((file = fopen(argv[k], "r")) == NULL) {
            fail("cannot read the file");
        }
    }
    while (fscanf(file, "%15s", word) == 1) {
        if (strcmp(word, "example") == 0) {
            printf("example %d\n", runs++);
            label = run();
            printf("hidden spikes %ld\nlogits", total_spikes);
            for (int k = 0; k < @P@_OUTPUTS; k++) {
                printf(" %.9g", (double)logits[k]);
            }
            printf("\nlabel %d ", label);
            print_text(@prefix@_labels[label]);
        } else if (strcmp(word, "expect") == 0 && label >= 0) {
            checked++;
            good += expected(label);
        } else {
            fail("an example must begin with the word example");
        }
    }
    printf("%d of %d examples as expected\n", good, checked);
    return good == checked ? 0 : 1;
}
"""
_SPIKES = {
    "INPUT": "STEP CHANNEL",
    "BUFFER": "static @prefix@_index channels[@P@_INPUTS];",
    "CLEAR": "size_t n = 0;",
    "TAKE": """\
if (n == @P@_INPUTS) {
                fail("a channel spikes once a step");
            }
            channels[n++] = (@prefix@_index)channel;""",
    "STEP": "@prefix@_step_spikes(channels, n);",
    "FILL": """\
for (size_t k = 0; k < n; k++) {
            channels[k] = (@prefix@_index)((7 * t + k * (@P@_INPUTS / n)) % @P@_INPUTS);
        }""",
}
_VALUES = {
    "INPUT": "STEP CHANNEL VALUE",
    "BUFFER": "static float values[@P@_INPUTS];",
    "CLEAR": "memset(values, 0, sizeof values);",
    "TAKE": """\
if (fscanf(file, "%f", &values[channel]) != 1) {
                fail("a value is missing");
            }""",
    "STEP": "@prefix@_step_values(values);",
    "FILL": """\
memset(values, 0, sizeof values);
        for (size_t k = 0; k < n; k++) {
            values[(7 * t + k) % @P@_INPUTS] = 1.0f;
        }""",
}

EXAMPLE = r"""
/* The least that a program needs: reset, a step every @dt@ ms, read. */
#include "@prefix@_model.h"

#include <stdio.h>

int main(void)
{
    @prefix@_reset();
    for (long t = 0; t < @P@_STEPS; t++) {
        @ONE@
    }
    printf("%s\n", @prefix@_labels[@prefix@_read(NULL)]);
    return 0;
}
"""
_ONE_SPIKE = """\
/* Here, channel 0 spikes every tenth step. */
        const @prefix@_index channels[1] = {0};
        @prefix@_step_spikes(channels, t % 10 == 0 ? 1 : 0);"""
_ONE_VALUE = """\
/* Here, the same flows into all channels. */
        static float values[@P@_INPUTS];
        for (size_t i = 0; i < @P@_INPUTS; i++) {
            values[i] = 1.0f;
        }
        @prefix@_step_values(values);"""

MAKEFILE = """
# make, make test, make size; another compiler: make CC=clang
CFLAGS ?= -O2 -Wall -Wextra
# No fused multiply-add, no -ffast-math: a spike may depend on the last bit.
FLAGS = -std=c99 -ffp-contract=off $(CFLAGS)
SIZE ?= size

all: test_model example

%.o: %.c @prefix@_model.h
\t$(CC) $(FLAGS) -c $< -o $@

test_model: test_model.o @prefix@_model.o
\t$(CC) $(FLAGS) $^ -lm -o $@

example: example.o @prefix@_model.o
\t$(CC) $(FLAGS) $^ -lm -o $@

test: test_model
\t./test_model test_examples.txt

size: @prefix@_model.o
\t$(SIZE) $<

clean:
\trm -f *.o test_model example

.PHONY: all test size clean
"""

README = """
# A spiking network in C

C99, libc and libm; no operating system, no `malloc`. `@prefix@_model.h` says how it is used and
what it takes.

- `@prefix@_model.c`, `@prefix@_model.h`: the network. Add these two to your program.
- `example.c`: the least that a program needs.
- `test_model.c`: runs examples of a text file. `make test` runs those of `test_examples.txt`,
  random inputs with the answers of delaysnn's CPU engine (none of a network too large to run in
  passing); `./test_model --time N` times steps of N inputs.

@COSTS@

Compile with `-ffp-contract=off` and without `-ffast-math`: with other rounding a voltage that just
reaches the threshold may miss it. There is one trial at a time, and no thread safety. Synapses
whose arrivals would come after the end of a trial are left out, so reset after every trial.
Two networks in one program need different prefixes.
"""


def fill(template: str, words: dict[str, str]) -> str:
    """Fill in the words of a template, also those that words bring."""
    for _ in range(2):
        for word, text in words.items():
            template = template.replace(f"@{word}@", text)
    return template.lstrip("\n")


def programs(artifact: Artifact, layout: CProgram, made: Costs, prefix: str) -> dict[str, str]:
    """The files by name."""
    words = dict(_VALUES if layout.currents else _SPIKES)
    words |= {"prefix": prefix, "P": prefix.upper(), "dt": f"{artifact.network.dt:g}"}
    left = [
        f"- {comment(p.title)}: {p.n} of {artifact.sizes[p.title]} neurons are left, numbered anew"
        for p in layout.hidden
    ]
    words["COSTS"] = "\n".join([*(f"- {line}" for line in made.lines()), *left])
    words["ONE"] = _ONE_VALUE if layout.currents else _ONE_SPIKE
    files = {
        "test_model.c": TEST, "example.c": EXAMPLE, "Makefile": MAKEFILE, "README.md": README,
    }  # fmt: skip
    return {name: fill(template, words) for name, template in files.items()}
