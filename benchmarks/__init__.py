"""How fast is Frazil, compared with icechunk and others on the same machine in the same run?

    python -m benchmarks            the full suite: about an hour and 10 GB of disk
    python -m benchmarks --short    the cases that have a goal, some of them smaller
    python -m benchmarks --quick    every case, tiny: shows that the suite works, no figures
    python -m benchmarks storage    requests to an object store
    python -m benchmarks scaling    pictures of time and memory against sizes

`cases.py` and the modules that it names say what is measured, `worker.py` measures it with one
library in a process of its own, `run.py` prepares and starts that, `__main__.py` takes the
libraries in turn and prints how many times faster Frazil is. Peers that are not installed are a
dash; cases in files of format 2 are left out where icechunk is older than version 2.
"""
