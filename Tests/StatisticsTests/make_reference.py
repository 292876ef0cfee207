#!/usr/bin/env python3
"""Writes reference.json: what SciPy says of the distributions, critical values, models and powers that the tests ask for.

    python3 make_reference.py > reference.json

Written with SciPy 1.17.1 and NumPy 2.4.6. Dunnett's values are integrals over the chi density by SciPy's adaptive
quadrature; those that SciPy's own multivariate t can check are checked here.
"""
import json
import math

import numpy as np
from scipy import integrate, optimize, stats


def t_cases():
    for degrees in (1, 2, 3, 8, 14, 30, 250):
        for t in (-3.5, -0.4, 0.7, 2.1, 6.0):
            yield {"degrees": degrees, "t": t, "cumulative": stats.t.cdf(t, degrees)}


def noncentral_cases():
    for degrees in (1, 2, 4, 14, 60, 400):
        for delta in (-1.5, 0.0, 0.8, 3.0):
            for t in (-1.0, 0.5, 1.8, 4.0):
                # By quadrature of its definition, since nct.cdf loses digits in its tails.
                value = expectation(degrees, lambda s: stats.norm.cdf(t * s - delta))
                assert abs(value - stats.nct.cdf(t, degrees, delta)) < 1e-6, (degrees, delta, t)
                yield {"degrees": degrees, "noncentrality": delta, "t": t, "cumulative": value}


def expectation(degrees, value, below=np.inf):
    """E[value(S)] over S = sqrt(chi squared / degrees) below a limit."""
    scale = math.sqrt(degrees)
    density = lambda s: stats.chi.pdf(s * scale, degrees) * scale
    upper = min(below, 1 + 12 / scale)
    edges = [edge for edge in (max(0, 1 - 12 / scale), 0.02, 0.1, 0.5, 1) if edge < upper] + [upper]
    edges = sorted(set(edges))
    return sum(
        integrate.quad(lambda s: density(s) * value(s), low, high, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
        for low, high in zip(edges, edges[1:]))


def dunnett_cumulative(x, loadings, degrees, two_sided):
    loadings = np.array(loadings)
    own = np.sqrt(1 - loadings**2)
    z, weight = np.polynomial.legendre.leggauss(400)
    z, weight = 9 * z, 9 * weight * stats.norm.pdf(9 * z)

    def given(s):
        upper = stats.norm.cdf((x * s + np.outer(z, loadings)) / own)
        lower = stats.norm.cdf((-x * s + np.outer(z, loadings)) / own) if two_sided else 0
        return float(weight @ np.prod(upper - lower, axis=1))

    return expectation(degrees, given)


def dunnett_cases():
    equal = [math.sqrt(0.5)]
    cases = [(equal * 2, 2, 0.95), (equal * 4, 8, 0.95), (equal * 7, 14, 0.95), (equal * 9, 60, 0.99), (equal * 2, 1, 0.9)]
    by_count = [([3, 5, 2], 4, 10, 0.95), ([10, 3], 3, 13, 0.9)]
    for loadings, degrees, confidence in cases:
        for two_sided in (True, False):
            yield dunnett_case(loadings, degrees, confidence, two_sided) | {"comparisons": len(loadings)}
    for replicates, baseline, degrees, confidence in by_count:
        loadings = [math.sqrt(n / (n + baseline)) for n in replicates]
        for two_sided in (True, False):
            yield dunnett_case(loadings, degrees, confidence, two_sided) | {
                "replicates": replicates, "baseline": baseline}


def dunnett_case(loadings, degrees, confidence, two_sided):
    critical = optimize.brentq(
        lambda x: dunnett_cumulative(x, loadings, degrees, two_sided) - confidence, 0.1, 60, xtol=1e-9)
    correlation = np.outer(loadings, loadings)
    np.fill_diagonal(correlation, 1)
    lower = np.full(len(loadings), -critical) if two_sided else None
    by_scipy = stats.multivariate_t.cdf(
        np.full(len(loadings), critical), shape=correlation, df=degrees, lower_limit=lower, random_state=1, maxpts=200000)
    assert abs(by_scipy - confidence) < 2e-4, (loadings, degrees, by_scipy)
    return {"degrees": degrees, "confidence": confidence, "twoSided": two_sided, "critical": critical}


def model_cases():
    """Least squares on dummy variables, settings beside blocks, with and without missing cells."""
    generator = np.random.default_rng(11)
    for settings, blocks, missing in ((3, 4, []), (4, 5, [(1, 0), (2, 3), (0, 4)]), (3, 3, [(2, 0), (2, 1)])):
        cells = [(i, j) for i in range(settings) for j in range(blocks) if (i, j) not in missing]
        values = [round(66 + 0.3 * i + 0.5 * j + generator.normal(0, 0.3), 2) for i, j in cells]
        design = np.zeros((len(cells), settings + blocks - 1))
        for row, (i, j) in enumerate(cells):
            if i > 0:
                design[row, i - 1] = 1
            design[row, settings - 1 + j] = 1
        solution, _, rank, _ = np.linalg.lstsq(design, np.array(values), rcond=None)
        assert rank == design.shape[1]
        degrees = len(cells) - rank
        residual = np.array(values) - design @ solution
        deviation = math.sqrt(residual @ residual / degrees)
        covariance = np.linalg.inv(design.T @ design)
        yield {
            "cells": [list(cell) for cell in cells], "values": values, "degrees": int(degrees), "deviation": deviation,
            "differences": solution[: settings - 1].tolist(),
            "standardErrors": (deviation * np.sqrt(np.diag(covariance)[: settings - 1])).tolist(),
        }


def power_cases():
    for test in ("nonInferiority", "equivalence"):
        for margin, deviation, difference, seeds, settings, claims in (
            (0.5, 0.4, 0.0, 3, 2, 1), (0.5, 0.4, 0.0, 5, 5, 4), (0.5, 0.6, -0.2, 10, 2, 1), (1.0, 0.3, 0.1, 2, 2, 1),
            (0.5, 0.35, 0.15, 12, 8, 7),
        ):
            degrees = (settings - 1) * (seeds - 1)
            error = deviation / math.sqrt(seeds)
            critical = stats.t.ppf(1 - 0.05 / claims, degrees)
            below, above = (margin + difference) / error, (margin - difference) / error
            if test == "nonInferiority":
                power = 1 - expectation(degrees, lambda s: stats.norm.cdf(critical * s - below))
            else:
                power = expectation(
                    degrees, lambda s: stats.norm.cdf(above - critical * s) - stats.norm.cdf(critical * s - below),
                    below=(below + above) / (2 * critical))
            yield {
                "test": test, "margin": margin, "deviation": deviation, "difference": difference, "seeds": seeds,
                "settings": settings, "claims": claims, "power": power}


if __name__ == "__main__":
    print(json.dumps({
        "t": list(t_cases()), "noncentralT": list(noncentral_cases()), "dunnett": list(dunnett_cases()),
        "model": list(model_cases()), "power": list(power_cases()),
    }, indent=1))
