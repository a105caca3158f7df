"""The derivative. It knows the backends, since the gradient is a C++ op too, and the form.

formula         the gradient of QZ, equations (1) and (3): start here
gradient        the same as it is used: with the canonical form, eigenvalues, coinciding and failed ones
convention      what the canonical form adds to the formula
noise           what is rounding in right-hand sides
schur           the gradient of the ordinary Schur form
subspaces       that of functions of deflating subspaces
compressed      that of rectangular pencils, around the gradient of a square one; rectangular: which of their outputs have it
eigenvectors    that of simple eigenvalues, by their own eigenvectors
eigenpairs      that of eigenvectors
zeros           that of transmission zeros
bases           bases that are functions of the subspace alone, and their derivative
equations       equations (2) and (3), each the other's adjoint
triangular      their solution in TensorFlow ops; windows: blocks of rows that cut no 2 x 2 block
sylvester       Sylvester and Lyapunov equations; riccati: that of Riccati equations by them; expectations: of rational expectations models
linear          systems of linear equations that don't harm others in their batch
scaled          pencils and cotangents whose products would leave the range
failed          batch elements that failed are kept out of gradients
attach          how values get a gradient that every transformation of TensorFlow keeps
registration    which gradient belongs to which outputs of which op
vectorized      how tf.vectorized_map makes batches of the ops
"""
