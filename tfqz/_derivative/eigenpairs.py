r"""The derivative of eigenvectors. That of x_j needs the distances of eigenvalue j from the others, and nothing of those among the others.

In the frames of complex triangular factors, S = Q^H A Z and T = Q^H B Z over their norms, and with |s_j|^2 + |t_j|^2 = 1, let

    K_j = t_j S - s_j T        K_j v_j = 0        N_j = conj(s_j) S + conj(t_j) T

of upper triangular v = (v_1, .., v_n). Perturbed, with z_j for how s_j : t_j moves and dv_jj = 0 for the scale,

    (ds_j, dt_j) = z_j (conj(t_j), -conj(s_j))        K_j dv_j - z_j N_j v_j = -(t_j dS - s_j dT) v_j           (1)

dv_jj is no unknown, so z_j stands in its place: u_j is dv_j with z_j at j, and the left-hand side L_j u_j, L_j being K_j with column j
replaced by -N_j v_j. It is upper triangular; on its diagonal are the distances of the others from eigenvalue j and, at j, what is 0 for
an undetermined s_j : t_j only. The adjoint, for cotangents ub_j, which are vb_j with zb_j = t_j sb_j - s_j tb_j at j:

    L_j^H g_j = ub_j        Sb = -sum_j conj(t_j) g_j v_j^H        Tb = sum_j conj(s_j) g_j v_j^H                 (2)

Back substitution for one j takes n^2 operations, as it does in finding v_j: n^3 in all. Where other eigenvalues are in one cluster with j,
their rows of (1) have no solution; they are left out, and these entries of dv_j are 0. What knows only the span of the cluster's
eigenvectors has its derivative all the same, where the cluster is semisimple.

x_j = Z v_j, over its length and turned until its largest entry is real and positive. Left eigenvectors are right ones of (A^H, B^H).

For derivatives of higher order S and T are Q^H A Z and Q^H B Z with constant Q and Z, triangular at one place only: in (1) and (2) they
are full, and L_j^{-1} has the derivative of an inverse.
"""

import tensorflow as tf

from tfqz._backends import native as op_library
from tfqz._derivative import convention, failed, scaled
from tfqz._derivative.attach import attach_gradient, differentiable, register_rule
from tfqz._form import blocks, quotients, tolerances, turned, vectors
from tfqz._form.products import matmul
from tfqz._form.traces import traced


@differentiable
@failed.kept_from_gradients("FFFF PPP M")
@scaled.near_one("st11 st 1F")
def pullback(S, T, Q, Z, A, B, X, Xb, *, left, native=False):
    """Cotangents of A and B, [..., n, n], from that of eigenvectors.

    Args:
      S, T, Q, Z: [..., n, n], factors in canonical form, which count as constant.
      A, B: [..., n, n], of which the result is a function.
      X, Xb: [..., n, n], complex, the eigenvectors in columns, as functions of A and B, and their cotangent.
      left: a Python bool, of which eigenvectors.
      native: a Python bool, as in `equations.py`.
    """
    real = not S.dtype.is_complex
    S, T, Q, Z = (tf.stop_gradient(X) for X in vectors.triangular(*(tf.stop_gradient(X) for X in (S, T, Q, Z))))
    if real:
        A, B = blocks.to_complex(A), blocks.to_complex(B)
    if left:
        S, T, Q, Z = turned.adjoint_pencil(S, T, Q, Z)
        A, B, X, Xb = tf.linalg.adjoint(A), tf.linalg.adjoint(B), turned.columns(X), turned.columns(Xb)
    norms = [blocks.to_complex(blocks.largest(X)) for X in (S, T)]
    pair = [matmul(Q, matmul(X, Z), adjoint_a=True) / norm for X, norm in zip((A, B), norms)]
    start = tf.linalg.band_part(matmul(Z, tf.stop_gradient(X), adjoint_a=True), 0, -1)
    values = [start, *vectors.unit_ratios(S / norms[0], T / norms[1])]
    V, s, t = attach_gradient("Eigenpairs", pair, [tf.stop_gradient(x) for x in values], native)
    Wb = _of_any_scale(X, matmul(Z, V), Xb)
    none = tf.zeros_like(s)
    cotangents = _of_pair(pair, [V, s, t], [matmul(Z, Wb, adjoint_a=True), none, none], native)
    found = [matmul(Q, matmul(X / norm, Z, adjoint_b=True)) for X, norm in zip(cotangents, norms)]
    if left:
        found = [tf.linalg.adjoint(X) for X in found]
    return [tf.math.real(X) for X in found] if real else found


def _of_any_scale(X, W, Xb):
    """The cotangent of W, of which X is the multiple with columns of length 1 and a real largest entry."""
    conj = tf.math.conj
    along = tf.reduce_sum(conj(X) * Xb, axis=-2)
    scale = quotients.over_no_nan(tf.reduce_sum(conj(X) * W, axis=-2), tf.reduce_sum(_square(W), axis=-2))
    across = Xb - X * blocks.to_complex(tf.math.real(along))[..., None, :]
    return scale[..., None, :] * (across + convention.of_largest_entries(X, tf.math.imag(along)))


@register_rule("Eigenpairs", arguments=2)
def _of_pair(arguments, values, cotangents, native):
    """(2): cotangents of S and T from those of V, s, t."""
    (S, T), (V, s, t), (Vb, sb, tb) = arguments, values, cotangents
    G = _solve(S, T, s, t, V, blocks.with_diagonal(Vb, t * sb - s * tb), native, adjoint=True)
    conj = tf.math.conj
    return [matmul(G * weight[..., None, :], V, adjoint_b=True) for weight in (-conj(t), conj(s))]


def _solve(S, T, s, t, V, H, native, adjoint):
    """U, [..., n, n], of L_j u_j = h_j, or L_j^H u_j = h_j, as a function of everything."""
    matrices, ratios = ([tf.stop_gradient(x) for x in tensors] for tensors in ([S, T, V, H], [s, t]))
    if native:
        U = op_library.solve_bordered(matrices, ratios, _substitute, adjoint)
    else:
        U = _substitute(*matrices, *ratios, adjoint=adjoint)
    U.set_shape(H.shape)
    return attach_gradient("BorderedAdjoint" if adjoint else "Bordered", [S, T, s, t, V, H], [U], native)[0]


@register_rule("Bordered", arguments=6)
def _of_solution(arguments, values, cotangents, native):
    (S, T, s, t, V, _), (U,), (Ub,) = arguments, values, cotangents
    G = _solve(S, T, s, t, V, Ub, native, adjoint=True)
    return [*_of_coefficients(S, T, s, t, V, U, G), G]


@register_rule("BorderedAdjoint", arguments=6)
def _of_adjoint_solution(arguments, values, cotangents, native):
    (S, T, s, t, V, _), (G,), (Gb,) = arguments, values, cotangents
    U = _solve(S, T, s, t, V, Gb, native, adjoint=False)
    return [*_of_coefficients(S, T, s, t, V, U, G), U]


def _of_coefficients(S, T, s, t, V, U, G):
    """Cotangents of S, T, s, t, V from -<g_j, dL_j u_j>, with L_j u_j = S c_j + T d_j."""
    conj = tf.math.conj
    z = tf.linalg.diag_part(U)
    U = blocks.with_diagonal(U, tf.zeros_like(z))
    s, t, z = s[..., None, :], t[..., None, :], z[..., None, :]
    C, D = t * U - conj(s) * z * V, -s * U - conj(t) * z * V
    Cb, Db = -matmul(S, G, adjoint_a=True), -matmul(T, G, adjoint_a=True)
    sb = -conj(U) * Db - conj(conj(z * V) * Cb)
    tb = conj(U) * Cb - conj(conj(z * V) * Db)
    sums = [tf.reduce_sum(x, axis=-2) for x in (sb, tb)]
    return [-matmul(G, C, adjoint_b=True), -matmul(G, D, adjoint_b=True), *sums, -conj(z) * (s * Cb + t * Db)]


@traced
def _substitute(S, T, V, H, s, t, *, adjoint):
    """U of the upper triangular parts of S and T, without a derivative; 0 where it leaves the range."""
    S, T = tf.linalg.band_part(S, 0, -1), tf.linalg.band_part(T, 0, -1)
    conj, of_columns = tf.math.conj, lambda x: x[..., None, :]
    border = of_columns(conj(s)) * matmul(S, V) + of_columns(conj(t)) * matmul(T, V)
    of_S, of_T = (tf.linalg.diag_part(X) for X in (S, T))
    distance = of_columns(t) * of_S[..., None] - of_columns(s) * of_T[..., None]
    length = _square(of_S) + _square(of_T)
    near = _square(distance) <= tolerances.cluster(S.dtype) ** 2 * length[..., None]
    divisor = blocks.with_diagonal(blocks.masked(~near, distance), -tf.linalg.diag_part(border))
    inverse = tf.math.reciprocal_no_nan(divisor)
    if adjoint:
        S, T, s, t, inverse = tf.linalg.adjoint(S), tf.linalg.adjoint(T), conj(s), conj(t), conj(inverse)
    rows = tf.stack([S, T], axis=-2)

    def step(count, U):
        n = tf.shape(rows)[-1]
        k, j = count if adjoint else n - 1 - count, tf.range(n)
        here = tf.equal(j, k)
        known = U if adjoint else blocks.with_diagonal(U, tf.zeros_like(s))
        by_S, by_T = tf.unstack(matmul(tf.gather(rows, k, axis=-3), known), num=2, axis=-2)
        row = s * by_T - t * by_S
        if adjoint:
            row = tf.where(here, tf.reduce_sum(conj(border) * U, axis=-2), row)
        else:
            row += tf.linalg.diag_part(U) * tf.gather(border, k, axis=-2)
        row = (tf.gather(H, k, axis=-2) + row) * tf.gather(inverse, k, axis=-2)
        U = tf.where(here[:, None], row[..., None, :], U)
        U.set_shape(H.shape)
        return count + 1, U

    start = (tf.constant(0, tf.int32), tf.zeros_like(H))
    U = tf.while_loop(lambda count, _: count < tf.shape(rows)[-1], step, start, parallel_iterations=1)[1]
    finite = tf.reduce_all(tf.math.is_finite(_square(U)), axis=-2, keepdims=True)
    return blocks.masked(finite, U)


def _square(x):
    """|x|^2, by cheap operations."""
    return tf.math.real(x) ** 2 + tf.math.imag(x) ** 2
