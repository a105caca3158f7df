r"""The gradient of the QZ decomposition: the formula, and nothing else.

    A = Q S Z^H      B = Q T Z^H      Q, Z unitary; S, T upper triangular       <X, Y> = Re tr(X^H Y)

With W = Q^H dQ and Y = Z^H dZ, both skew-Hermitian,

    Q^H dA Z = W S + dS - S Y         Q^H dB Z = W T + dT - T Y                                  (1)

and the strictly lower parts of (1) are two coupled triangular equations for those of W and Y alone (equations (2) in
`equations.py`): no inverse of S or T appears, so singular A, singular B and infinite eigenvalues need nothing special.
The adjoint of all this, for cotangents Sb, Tb, Qb, Zb of the factors, Sb and Tb on the pattern of S and T:

    G_W = Q^H Qb - Sb S^H - Tb T^H        P = tril(G_W - G_W^H, -1)
    G_Y = Z^H Zb + S^H Sb + T^H Tb        R = tril(G_Y - G_Y^H, -1)

     tril(E S^H + F T^H, -1) = P
    -tril(S^H E + T^H F, -1) = R          E, F strictly lower triangular                         (3)

    Ab = Q (Sb + E) Z^H                   Bb = Q (Tb + F) Z^H

What (1) leaves open, the diagonals of W and Y (phases) and the rotation inside 2 x 2 blocks, the canonical form fixes; its part,
matrices that are added to Sb, Tb and G_Y, is in `convention.py`. `equations.py` solves (3).

`docs/differentiability.md` derives it, in the same letters; the derivative of an ordinary eigenvalue problem in this style: M. Giles,
`An extended collection of matrix derivative results for forward and reverse mode algorithmic differentiation`, 2008.
"""

from tfqz._form.blocks import skew
from tfqz._form.products import matmul


def pullback(S, T, Q, Z, Sb, Tb, Qb, Zb, solve, fix=None):
    """Ab and Bb, the cotangents of A and B. All matrices [..., n, n].

    `solve(P, R)` returns E and F of (3), of P and R that are skew-Hermitian; it takes their strictly lower parts. `fix(Sb, Tb, G_W, G_Y)`
    returns all four with the part of the convention.
    """
    G_W, G_Y = rotation_cotangents(S, T, Q, Z, Sb, Tb, Qb, Zb)
    if fix is not None:
        Sb, Tb, G_W, G_Y = fix(Sb, Tb, G_W, G_Y)
    E, F = solve(skew(G_W), skew(G_Y))
    return matmul(matmul(Q, Sb + E), Z, adjoint_b=True), matmul(matmul(Q, Tb + F), Z, adjoint_b=True)


def rotation_cotangents(S, T, Q, Z, Sb, Tb, Qb, Zb):
    """G_W and G_Y, the cotangents of W and Y. All matrices [..., n, n]."""
    G_W = matmul(Q, Qb, adjoint_a=True) - matmul(Sb, S, adjoint_b=True) - matmul(Tb, T, adjoint_b=True)
    G_Y = matmul(Z, Zb, adjoint_a=True) + matmul(S, Sb, adjoint_a=True) + matmul(T, Tb, adjoint_a=True)
    return G_W, G_Y
