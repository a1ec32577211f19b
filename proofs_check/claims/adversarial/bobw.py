"""The theorems of best-of-both-worlds policy optimization as graphs of their lemmas (bobw spec, section 4), clipped-occupancy variant.

The lemmas stand in ``bobw_entropy``, ``bobw_ftrl``, ``bobw_bonus``, ``bobw_steps``, ``bobw_sums`` and ``bobw_costs``, what is claimed of
whole runs in ``bobw_runs``; ``bobw_replay`` is the algorithm once more in plain NumPy. ``bobw_shannon_rate`` and ``bobw_unknown`` are
its sections 4.8 and 4.9.
"""

from proofs_check import theorem

SOURCE = "derived in the bobw spec, section 4, for the clipped-occupancy variant; after Dann, Wei, Zimmert 2023"
_MASTER = (
    "mdp.performance-difference-episodic", "bonus.dilated-telescoping", "bonus.unrolled", "bobw.estimator", "bobw.estimate",
    "bobw.estimator-bias", "bobw.leader", "bobw.constants", "bobw.rates", "bobw.run",
    "bobw.stability", "bobw.stability-bound", "bobw.local-norm", "bobw.splitting", "bobw.shift", "bobw.loss-shift", "bobw.ftrl",
    "bobw.bonus-budget", "bobw.estimator-stability", "bobw.condition", "bobw.condition-shannon", "bobw.condition-log-barrier",
    "bobw.episode", "bobw.certificate",
)  # fmt: skip

theorem(
    "bobw-certificate",
    statement=r"Let $\beta$ be nondecreasing, $b_t$ at least penalty, expected stability and bias of the clip, and $(C_B)$ hold: "
    r"$\mathrm{loc}\, B / \beta \le 1 / (4 H)$. Then for every policy $p$ fixed in advance and every adversary, $\mathbb{E}[R_T(p)] \le "
    r"\mathbb{E}[\mathrm{cert}_T] + I_0$ with $\mathrm{cert}_T = \sum_t (1 + \tfrac{1}{H}) \langle \rho, \bar B_{t,0} \rangle \le "
    r"e \sum_t \sum_{h,s} \mu_t b_t$. The theory's constants satisfy $(C_B)$ by themselves.",
    source=SOURCE,
    provenance="derived",
    claims=_MASTER,
    uses={
        "bobw.estimator-bias": ("bobw.estimator",),
        "bobw.stability-bound": ("bobw.stability",),
        "bobw.estimate": ("bobw.estimator",),
        "bobw.ftrl": ("bobw.stability-bound", "bobw.shift", "bobw.leader"),
        "bobw.condition": ("bobw.constants", "bobw.rates"),
        "bobw.bonus-budget": ("bobw.local-norm",),
        "bobw.estimator-stability": ("bobw.loss-shift", "bobw.local-norm"),
        "bobw.episode": (
            "mdp.performance-difference-episodic", "bonus.dilated-telescoping", "bobw.estimator-bias", "bobw.ftrl", "bobw.splitting",
            "bobw.bonus-budget", "bobw.estimator-stability", "bobw.condition",
        ),
        "bobw.certificate": (
            "bobw.run", "bobw.episode", "bobw.estimate", "bonus.unrolled", "bobw.condition-shannon",
            "bobw.condition-log-barrier",
        ),
    },
)  # fmt: skip

theorem(
    "bobw-tsallis",
    statement=r"Tsallis entropy, theory's constants, $d = \epsilon / \sqrt{N_0}$, $\Lambda \le 2 \ln(1 + \epsilon T / (2 \sqrt{N_0}))$, "
    r"$G = 2 e (1 + d) \Lambda \sum_{h,s} R_h$. Any adversary: $\mathbb{E}[R_T(p)] \le e \sqrt{2} (\sqrt{1 + d} (\sqrt{A} - 1) + \sqrt{A}) "
    r"\sum_h R_h \sqrt{S_h T \Lambda} + G + I_0$. Stochastic with corruption $C$: $\mathbb{E}[R_T(\pi^*)] \le k^2 + J "
    r"+ k \sqrt{J} + k \sqrt{C}$ with $J = G + I_0$ and "
    r"$k^2 = 2 e^2 (\sqrt{1 + d} + 4)^2 \Lambda \sum_{h,s,a \ne \pi^*} R_h^2 / \Delta$: logarithmic in $T$.",
    source=SOURCE,
    provenance="derived",
    claims=(
        "bobw.entropy-factors", "bobw.entropy-of-deviations", "bobw.rate-step", "bobw.inverse-occupancies", "bobw.visits", "bobw.clip-bias",
        "bobw.clip-growth", "bobw.adversarial-cost", "bobw.stochastic-cost", "bobw.gaps", "bobw.corruption", "bobw.self-bounding",
        "bobw.certificate", "bobw.logarithmic", "bobw.square-root",
    ),
    uses={
        "bobw.visits": ("bobw.inverse-occupancies",),
        "bobw.adversarial-cost": ("bobw.rate-step", "bobw.visits", "bobw.clip-bias", "bobw.clip-growth"),
        "bobw.stochastic-cost": (
            "bobw.entropy-factors", "bobw.entropy-of-deviations", "bobw.rate-step", "bobw.inverse-occupancies", "bobw.clip-bias",
            "bobw.clip-growth",
        ),
        "bobw.square-root": ("bobw.certificate", "bobw.adversarial-cost"),
        "bobw.logarithmic": ("bobw.certificate", "bobw.stochastic-cost", "bobw.gaps", "bobw.corruption", "bobw.self-bounding"),
    },
)  # fmt: skip

theorem(
    "bobw-first-order",
    statement=r"Log barrier, known transition, theory's constants: the certificate's $\sum \mu_t b_t$ is of order "
    r"$\sqrt{A \ln T} \sum_h \sqrt{R_h S_h \Lambda L_T}$ plus lower-order terms, $L_T$ the learner's total loss, so that with "
    r"$L_T = L^* + R_T$ the regret is $\tilde O(\sqrt{H^2 S A L^*})$, $L^*$ the loss of the best policy. Shannon entropy (4.6): "
    r"the same with the measured ratio $r$ of entropies; theorem bobw-shannon-rate does without.",
    source=SOURCE,
    provenance="derived",
    claims=(
        "bobw.deviation-in-mean", "bobw.deviation", "bobw.propagated-occupancy", "bobw.propagated-clips", "bobw.clipped-episodes",
        "bobw.log-barrier-cost", "bobw.shannon-of-deviations", "bobw.shannon-cost", "bobw.condition-log-barrier", "bobw.certificate",
    ),
    uses={
        "bobw.deviation": ("bobw.deviation-in-mean",),
        "bobw.propagated-clips": ("bobw.propagated-occupancy",),
        "bobw.log-barrier-cost": ("bobw.deviation", "bobw.clipped-episodes"),
        "bobw.condition-log-barrier": ("bobw.propagated-occupancy",),
        "bobw.shannon-cost": ("bobw.shannon-of-deviations",),
    },
)  # fmt: skip
