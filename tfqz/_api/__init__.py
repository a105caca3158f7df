"""The public functions, a module for each; `tfqz/__init__.py` gives them their public names.

They check arguments (`_form/checks.py`), ask a backend for values, and attach derivatives to these (`_derivative/registration.py`).

    qz, ordqz, eigvals, eig, schur, subspaces
                                           the decompositions and what users take from them
    riccati, sylvester, klein, zeros       matrix equations, models, transmission zeros; riccati_pencils: values of the first;
                                           systems: what arguments of several matrices need
    diagnosis                              `sensitivity` and `gauge_residual`: how well a gradient is defined
    balance                                pencils with rows and columns of about equal norms
    compression                            rectangular pencils, made square
    selection                              what `sort` means
    selfcheck                              `python -m tfqz`
"""
