"""How fast is Frazil, compared with icechunk on the same machine in the same run?

    python -m benchmarks            the full suite: about half an hour and 4 GB of disk
    python -m benchmarks --quick    every case, tiny: shows that the suite works, no figures

`cases.py` and `scale.py` say what is measured, `worker.py` measures one case with one library in
a process of its own, `__main__.py` alternates the libraries and prints the ratios. The cases of
`scale.py` are left out where icechunk is older than version 2.
"""
