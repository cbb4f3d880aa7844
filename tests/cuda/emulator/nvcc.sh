#!/bin/sh
# Stands in for nvcc; see nvcc.py. A module for GeNN's search for block sizes is the source itself,
# in which libcuda looks for kernels.
unset LD_PRELOAD
for source; do :; done
case " $* " in
*" -M "*) echo "${source%.cc}.o: $source definitions.h" ;;
*" -cubin "*)
    while [ "$1" != -o ]; do shift; done
    exec cp "$source" "$2"
    ;;
*) exec PYTHON -I -S NVCC TOOLKIT "$@" ;;
esac
