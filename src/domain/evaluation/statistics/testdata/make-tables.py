"""Makes tables.json beside it: what the statistics must give, from mpmath, scipy, statsmodels, scikit-learn and ppi-python.

    python3 -m venv venv && venv/bin/pip install mpmath scipy statsmodels scikit-learn ppi-python
    venv/bin/python make-tables.py

Beta tails are summed in 50 digits from the positive series of DLMF 8.17.8 (the code uses a continued fraction) and compared
with scipy wherever it has a number at all. The e-values are the formulas as they are printed, with beta functions.
"""

import json
import pathlib
import random

import mpmath as mp
import numpy as np
import statsmodels.api as sm
from scipy import special, stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.proportion import proportion_confint

mp.mp.dps = 50


def log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def series(a, b, x):
    """ln I_x(a, b)."""
    term, total, n = mp.mpf(1), mp.mpf(1), 0
    end = mp.mpf(10) ** (10 - mp.mp.dps)
    while term > total * end:
        term *= (a + b + n) * x / (a + 1 + n)
        total += term
        n += 1
    return a * mp.log(x) + b * mp.log1p(-x) - mp.log(a) - log_beta(a, b) + mp.log(total)


def tails(a, b, x):
    """ln of what is below and above x. The numbers are taken as the doubles that they are."""
    a, b, x = mp.mpf(a), mp.mpf(b), mp.mpf(x)
    if x > a / (a + b):
        above, below = tails(b, a, 1 - x)
        return below, above
    if x > 0.99:
        # The series takes 100 / (1 - x) terms; the rest's is short, and with so many digits can be taken from 1.
        with mp.workdps(420):
            above = series(b, a, 1 - x)
            return mp.log1p(-mp.exp(above)), above
    below = series(a, b, x)
    return below, mp.log1p(-mp.exp(below))


def log_e(c, l, share, k=10, ratio=1, side="above"):
    c, l, share, k, ratio = map(mp.mpf, (c, l, share, k, ratio))
    x = share * ratio / (share * ratio + 1 - share)
    a, b = k * x, k * (1 - x)
    two_sided = log_beta(a + c, b + l) - log_beta(a, b) - c * mp.log(x) - l * mp.log1p(-x)
    if side == "both":
        return two_sided
    pick = 1 if side == "above" else 0
    return two_sided + tails(a + c, b + l, x)[pick] - tails(a, b, x)[pick]


def log_e_within(n, c, l, share, margin):
    n, c, l, share, margin = map(mp.mpf, (n, c, l, share, margin))
    most = 1 / (1 / share - margin)
    total = mp.mpf(0)
    for part in (0.75, 0.25, 1 / 16, 1 / 64, 1 / 256):
        bet = part * most
        total += (1 + bet * margin) ** (n - c - l) * (1 - bet * (1 / share - margin)) ** c * (1 + bet * (margin + 1 / (1 - share))) ** l
    return mp.log(total / 5)


def beta_rows():
    rows = []
    sizes = [0.05, 0.5, 1, 3.5, 10, 100.5, 1e4, 1e6]
    for a in sizes:
        for b in sizes:
            mean = a / (a + b)
            sd = (mean * (1 - mean) / (a + b + 1)) ** 0.5
            points = [1e-6, 0.01, 0.1, 0.5, 0.9, 0.99] + [mean + z * sd for z in (-36, -12, -4, -1, 0, 1, 4, 12, 36)]
            for x in points:
                if not 0 < x < 1:
                    continue
                below, above = tails(a, b, x)
                if min(below, above) < -720:
                    continue
                for ours, theirs in ((below, special.betainc(a, b, x)), (above, special.betaincc(a, b, x))):
                    if theirs > 1e-290 and abs(float(ours)) > 1e-300:
                        assert abs(float(ours) - np.log(theirs)) < 1e-7 * max(1, abs(float(ours))), (a, b, x, ours, theirs)
                rows.append([a, b, x, float(below), float(above)])
    return rows


def count_rows():
    rows = []
    counts = [(0, 0), (1, 0), (0, 1), (4, 1), (3, 40), (40, 90), (100, 900), (130, 900), (300, 900), (0, 2000), (50, 0), (2500, 20000), (1000000, 1000000)]
    for c, l in counts:
        for share in (0.01, 0.05, 0.25, 0.5, 0.9):
            for ratio in (1, 1.2, 1.5):
                rows.append({
                    "candidate": c, "live": l, "share": share, "ratio": ratio,
                    "worse": float(log_e(c, l, share, ratio=ratio)),
                    "notWorse": float(log_e(c, l, share, ratio=ratio, side="below")),
                    "mismatch": float(log_e(c, l, share, side="both")),
                })
    return rows


def within_rows():
    rows = []
    for n, c, l, share in [(0, 0, 0, 0.5), (4000, 0, 0, 0.1), (4000, 3, 40, 0.1), (20000, 200, 200, 0.5), (20000, 400, 200, 0.5), (1000, 1, 0, 0.05)]:
        for margin in (0.005, 0.02):
            rows.append({"units": n, "candidate": c, "live": l, "share": share, "margin": margin, "logE": float(log_e_within(n, c, l, share, margin))})
    return rows


def bet_rows(draw):
    """The betting process, step by step, with wealth itself rather than its logarithm."""
    rows = []
    for margin, (win, loss) in [(0.1, (0.15, 0.15)), (0.05, (0.1, 0.4)), (0.1, (0.25, 0.15)), (0, (0.3, 0.3))]:
        xs = [1 if u < win else -1 if u < win + loss else 0 for u in (draw.random() for _ in range(300))]
        m, s, q, c = -margin, 0.0, 0.5, 1
        promote, regress = mp.mpf(1), mp.mpf(1)
        for x in xs:
            mu, v = s / c, q / c
            d = mu - m
            scale = 0.25 if c <= 20 else 1
            up = scale * min(max(d / (v + d * d), 0), 0.5 / (1 + m))
            down = scale * min(max(-d / (v + d * d), 0), 0.5 / (1 - m))
            promote *= 1 + up * (x - m)
            regress *= 1 - down * (x - m)
            s, c = s + x, c + 1
            q += (x - s / c) ** 2
        rows.append({"margin": margin, "xs": xs, "promote": float(mp.log(promote)), "regress": float(mp.log(regress))})
    return rows


def msprt_rows(draw):
    rows = []
    for gap, margin, tau, alpha in [(0, 0, 0.1, 0.05), (0.3, 0, 0.1, 0.01), (0.3, 0.2, 0.5, 0.05), (-0.5, 0.1, 0.2, 0.05)]:
        candidate = [round(draw.gauss(gap, 1.3), 3) for _ in range(150)]
        live = [round(draw.gauss(0, 1), 3) for _ in range(400)]
        v = mp.mpf(np.var(candidate, ddof=1)) / 150 + mp.mpf(np.var(live, ddof=1)) / 400
        difference = np.mean(candidate) - np.mean(live)
        # The mixture itself, by quadrature, rather than its closed form.
        mixture = mp.quad(
            lambda theta: mp.npdf(theta, margin, tau) * mp.exp((2 * difference * (theta - margin) - theta**2 + margin**2) / (2 * v)),
            [margin - 8 * tau, margin, margin + 8 * tau],
        )
        bound = lambda edge: 0.5 * mp.log(v / (v + tau**2)) + tau**2 * (difference - edge) ** 2 / (2 * v * (v + tau**2)) - mp.log(1 / alpha)
        high = mp.findroot(bound, (difference + 1e-6, difference + 50), solver="anderson", tol=1e-40)
        rows.append({
            "candidate": candidate, "live": live, "margin": margin, "tau": tau, "alpha": alpha,
            "logE": float(mp.log(mixture)), "interval": [float(2 * difference - high), float(high)],
        })
    return rows


def gwet(table):
    """From single items, as Gwet defines it, rather than from margins."""
    items = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    classes = len(table)
    observed = np.mean([i == j for i, j in items])
    used = [np.mean([((i == k) + (j == k)) / 2 for i, j in items]) for k in range(classes)]
    expected = sum(q * (1 - q) for q in used) / (classes - 1)
    return (observed - expected) / (1 - expected)


def agreement_rows():
    tables = [
        [[20, 5], [10, 15]],
        [[118, 5], [2, 0]],
        [[30, 4, 1], [6, 50, 9], [0, 3, 22]],
        [[4, 1, 0, 0, 0], [2, 9, 3, 0, 0], [0, 4, 20, 6, 1], [0, 0, 5, 17, 4], [0, 0, 0, 3, 11]],
    ]
    rows = []
    for table in tables:
        first = [i for i, row in enumerate(table) for count in row for _ in range(count)]
        second = [j for row in table for j, count in enumerate(row) for _ in range(count)]
        labels = list(range(len(table)))
        rows.append({
            "table": table,
            "agreement": float(np.mean(np.array(first) == np.array(second))),
            "kappa": float(cohen_kappa_score(first, second, labels=labels)),
            "ac1": float(gwet(table)),
        })
    return rows


def spearman_rows(draw):
    rows = []
    for size, spread in [(5, 3), (40, 4), (100, 1000)]:
        xs = [draw.randrange(spread) for _ in range(size)]
        ys = [x + draw.randrange(spread) for x in xs]
        rows.append({"xs": xs, "ys": ys, "rho": float(stats.spearmanr(xs, ys).statistic)})
    return rows


def paired_rows(draw):
    rows = []
    for clusters, size in [(12, 5), (40, 1), (3, 20), (30, 4)]:
        lines = []
        for cluster in range(clusters):
            shift = draw.gauss(0, 0.2)
            for _ in range(draw.randint(1, 2 * size) if size > 1 else 1):
                lines.append({"d": round(shift + draw.gauss(-0.01, 0.3), 3), "cluster": f"c{cluster}"})
        d = np.array([line["d"] for line in lines])
        groups = np.array([int(line["cluster"][1:]) for line in lines])
        ones = np.ones(len(d))
        clustered = sm.OLS(d, ones).fit(cov_type="cluster", cov_kwds={"groups": groups})
        rows.append({
            "rows": lines, "mean": float(d.mean()), "se": float(sm.OLS(d, ones).fit().bse[0]), "clusteredSe": float(clustered.bse[0]),
            "lower95": float(d.mean() - stats.norm.ppf(0.95) * clustered.bse[0]),
        })
    return rows


def main():
    draw = random.Random(5)
    tables = {
        "beta": beta_rows(),
        "counts": count_rows(),
        "within": within_rows(),
        "bets": bet_rows(draw),
        "msprt": msprt_rows(draw),
        "normal": [[p, float(stats.norm.ppf(p))] for p in (1e-300, 1e-50, 1e-9, 0.001, 0.0061, 0.0063, 0.025, 0.3, 0.49999, 0.5, 0.8, 0.95, 0.999999)],
        "mcnemar": [[b, c, float(stats.binomtest(b, b + c, 0.5, alternative="greater").pvalue)] for b, c in [(1, 0), (5, 0), (10, 2), (3, 9), (60, 41), (700, 500), (0, 7)]],
        "wilson": [[k, n, [float(end) for end in proportion_confint(k, n, 0.05, method="wilson")]] for k, n in [(0, 30), (30, 30), (3, 10), (500, 1000), (1, 100000)]],
        "agreement": agreement_rows(),
        "spearman": spearman_rows(draw),
        "paired": paired_rows(draw),
    }
    text = json.dumps(tables, separators=(",", ":")).replace('"],"', '"],\n"').replace("],[", "],\n[").replace("},{", "},\n{")
    pathlib.Path(__file__).with_name("tables.json").write_text(text + "\n")


main()
