"""What pencils and their factors look like, and how TensorFlow computes with them. It knows no other room.

checks        which arguments are accepted, and what is said of others
blocks        2 x 2 diagonal blocks; diagonals, bands, masks, rotations
standard      2 x 2 blocks of which T's is diagonal and S's has complex eigenvalues
canonical     the canonical form of factors
eigenvalues   alpha and beta of a form, their cotangents, and which of them coincide
vectors       eigenvectors: complex triangular factors, length and phase
turned        triangular factors of the adjoint
powers        powers of two, by which matrices are scaled exactly; pairs: products in more than double precision
tolerances    every tolerance, with its name and reason
products      products of matrices that no device rounds to fewer bits; orthogonal: QR decompositions of matrices of any size
quotients     quotients by real numbers that don't leave the range
traces        functions that are traced once for all sizes; interrupts: KeyboardInterrupt out of them
types         the types of arguments that public functions share
"""
