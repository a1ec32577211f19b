"""The theorems of DAPO as graphs of their lemmas (dapo spec, sections 3, 4 and 6).

The lemmas stand in ``dapo_estimator``, ``dapo_bonus``, ``dapo_steps``, ``dapo_confidence``, ``dapo_linear``, ``delayed_hedge`` and
``delays``, what is claimed of whole runs in ``dapo_runs``.

Proof of SEQ. At each (h, s), with p the arrival policy: <pi - pi*, Q> = <pi - p, Q> + <p, Q - Qhat> + <pi*, Qhat - Q> + <p - pi*, Qhat - B>
+ <p - pi*, B>. The first costs the drift of the policy, the second the bias, the third nothing, the fourth is a step of exponential
weights, the fifth pays for all of them by telescoping: an episode (``dapo.episode``). Episodes add up in the order in which they are
processed; drifts add up over the updates between play and arrival, of which there are D~ altogether.
"""

from proofs_check import theorem

PAPER = "Lancewicki, Rosenberg, Sotnikov 2023"
_CHAIN = {
    "dapo.estimator-below": ("dapo.estimator-mean",),
    "dapo.estimator-bias": ("dapo.estimator-mean",),
    "dapo.telescoping": ("bonus.dilated-telescoping",),
    "dapo.bonus-cost": ("dapo.importance-sum",),
    "dapo.bonus-bound": ("dapo.exploration-sum",),
    "dapo.absorption": ("dapo.bonus-bound",),
    "dapo.bonus-value": ("bonus.unrolled", "dapo.occupancy-drift", "dapo.bonus-cost"),
    "dapo.mean-step-drift": ("dapo.step-drift", "dapo.bonus-bound", "dapo.estimator-below"),
    "dapo.episode": (
        "mdp.performance-difference-episodic", "dapo.estimator-below", "dapo.estimator-bias", "dapo.ratio-drift", "dapo.second-moment",
        "dapo.weights-step", "dapo.absorption", "dapo.telescoping",
    ),
    "dapo.certificate": ("dapo.episode", "dapo.filtration", "dapo.replay"),
    "dapo.sequential-bound": (
        "dapo.certificate", "dapo.tuning", "dapo.bonus-value", "dapo.mean-step-drift", "delays.counting", "delays.truncation",
    ),
    "dapo.replay": ("delays.delivery",),
}  # fmt: skip
_LEMMAS = (
    "mdp.performance-difference-episodic", "dapo.estimator-mean", "dapo.estimator-below", "dapo.estimator-bias", "dapo.ratio-drift",
    "dapo.second-moment", "dapo.importance-sum", "dapo.exploration-sum", "dapo.weights-step", "bonus.dilated-telescoping",
    "bonus.unrolled", "dapo.telescoping", "dapo.bonus-bound", "dapo.bonus-cost", "dapo.absorption", "dapo.episode",
    "dapo.filtration", "dapo.certificate", "dapo.occupancy-drift", "dapo.bonus-value", "dapo.step-drift", "dapo.mean-step-drift",
    "delays.truncation", "delays.counting", "delays.delivery", "dapo.replay", "dapo.tuning", "dapo.sequential-bound",
)  # fmt: skip

theorem(
    "dapo-sequential",
    statement=r"Known transition, feedback processed one after the other, $\kappa = e - 2$, $c = \gamma H + \kappa \eta H^2$, "
    r"$\beta_h = \tfrac{c}{\gamma} H ((1 + \tfrac{1}{H})^{H-h} - 1)$, $\theta = \eta \beta_0$, $\omega = (e^\theta - 1) / \theta$, "
    r"$\delta_h = \eta (H - h + \omega \beta_h)$. If $\theta \le 1$ and $\kappa H \theta \le 1$ then in every oblivious world "
    r"$\mathbb{E}[R_K] \le \frac{H \log A}{\eta} + (1 + \tfrac{1}{H})^H c H S A K "
    r"+ \tilde D \sum_h \left[ 2 (H - h) + (1 + \tfrac{1}{H})^H \tfrac{c}{\gamma} (H - 1 - h) \right] \delta_h "
    r"= O(H^2 \sqrt{S A K \log A} + H^3 \sqrt{\tilde D \log A})$ for the best $\eta$ and $\gamma = \eta H$.",
    source=f"{PAPER} (algorithm and rate); constants from the dapo spec, section 6, SEQ",
    provenance="derived",
    claims=_LEMMAS,
    uses=_CHAIN,
)

theorem(
    "dapo-joint",
    statement=r"What arrives together is weighed against one policy. Under the conditions of dapo-sequential, $\mathbb{E}[R_K]$ is at most "
    r"its bound with $D_{out} = \tilde D - D_{in}$ in place of $\tilde D$, plus "
    r"$D_{in} \sum_h \left[ H - h + \kappa \eta \tfrac{(H - h)^2}{\gamma} + \beta_h (1 + \kappa \theta) \right] \delta_h$, where "
    r"$D_{in} = \sum_t n_t (n_t - 1) / 2$ counts the pairs that arrive together.",
    source=f"{PAPER} (the form of the algorithm); dapo spec, section 6, JOINT",
    provenance="derived",
    claims=("dapo-sequential", "dapo.joint-substep", "delays.counting", "delays.counting-joint", "dapo.joint-bound"),
    uses={
        "delays.counting-joint": ("delays.counting",),
        "dapo.joint-bound": ("dapo-sequential", "dapo.joint-substep", "delays.counting-joint"),
    },
)

theorem(
    "dapo-high-probability",
    statement=r"Known transition, one after the other, $c = \gamma H + 2 \kappa \eta H^2$, $m = \max_j |\{k : j \in N_k\}|$ and "
    r"$\iota = \log(5 / \delta)$. With probability $1 - \delta$, $R_K$ is at most the bound of dapo-sequential with this $c$, plus "
    r"$\iota \left[ \frac{H}{2 \kappa \eta} + \frac{H^2}{2 \gamma} + \frac{\kappa \eta H^3}{2 \gamma^2} "
    r"+ \frac{\eta H^3 m}{\gamma} \left( 1 + \tfrac{1}{2} (1 + \tfrac{1}{H})^H \tfrac{c}{\gamma} \right) \right]$.",
    source="dapo spec, section 6, HP",
    provenance="derived",
    claims=(
        "dapo-sequential", "dapo.exploration-sum", "dapo.second-moment", "dapo.implicit-exploration", "dapo.squared-sum",
        "dapo.lower-deviation", "dapo.drift-deviation", "dapo.high-probability-bound",
    ),
    uses={
        "dapo.squared-sum": ("dapo.second-moment",),
        "dapo.drift-deviation": ("dapo.implicit-exploration",),
        "dapo.high-probability-bound": (
            "dapo-sequential", "dapo.exploration-sum", "dapo.implicit-exploration", "dapo.squared-sum", "dapo.lower-deviation",
            "dapo.drift-deviation",
        ),
    },
)  # fmt: skip

theorem(
    "dapo-unknown-transition",
    statement=r"Unknown transition, one after the other, $b = \sum_a p w \, (c + (H - h)(u - l) \pi)$ and $B$ propagated with the most "
    r"favorable transition of the set in force when the episode was played: certificate C holds up to $H K \Pr(P \notin$ some set$) \le 4 "
    r"\delta H K$, which a run's certificate includes, and the bonus costs $\sum_s u b \le c S A + H \sum_s (u - l)$; "
    r"the paper's rate is $\tilde O(H^3 S \sqrt{A K} + H^3 \sqrt{D})$.",
    source=f"{PAPER} (rate, reconstructed); dapo spec, sections 2.5, 5.3 and 6",
    provenance="derived",
    claims=(
        "dapo.weights-step", "dapo.extreme-expectation", "dapo.occupancy-bounds", "dapo.occupancy-bounds-exact",
        "dapo.occupancy-bounds-monotone", "dapo.optimistic-telescoping", "dapo.optimistic-bias", "dapo.optimistic-cost",
        "dapo.optimistic-bonus-value", "dapo.confidence-radius", "dilated-bonus-po.confidence", "dapo.replay-unknown",
    ),
    uses={
        "dapo.occupancy-bounds": ("dapo.extreme-expectation", "dilated-bonus-po.confidence"),
        "dapo.occupancy-bounds-exact": ("dapo.extreme-expectation",),
        "dapo.occupancy-bounds-monotone": ("dapo.extreme-expectation",),
        "dapo.optimistic-telescoping": ("dapo.extreme-expectation",),
        "dapo.optimistic-bias": ("dapo.occupancy-bounds",),
        "dapo.optimistic-cost": ("dapo.occupancy-bounds",),
        "dapo.optimistic-bonus-value": ("dapo.optimistic-cost",),
        "dilated-bonus-po.confidence": ("dapo.confidence-radius",),
    },
)  # fmt: skip

theorem(
    "dapo-linear",
    statement=r"Linear action values of dimension $n$ with $|\theta| \le \Theta$, exact covariances, one after the other. "
    r"With $\beta = \alpha$, $\beta' = \alpha + 2 \kappa \eta H^2$, $b_{max} = (\beta + \beta') / \gamma$, "
    r"$\beta_h = b_{max} H ((1 + \tfrac{1}{H})^{H-h} - 1)$ and $\delta_h = (e - 1) \eta (\tfrac{H - h}{\sqrt \gamma} + \beta_h)$: "
    r"if $\eta (H / \gamma + \beta_0) \le 1$ and "
    r"$2 \kappa \eta \beta_0 H \le 1$ then $\mathbb{E}[R_K] \le \frac{H \log A}{\eta} + \frac{K H \gamma \Theta^2}{2 \alpha} "
    r"+ (1 + \tfrac{1}{H})^H (\beta + \beta') n H K "
    r"+ \tilde D \sum_h (2 (H - h) + (1 + \tfrac{1}{H})^H b_{max} (H - 1 - h)) \delta_h$.",
    source=f"{PAPER} (assumption; algorithm reconstructed); dapo spec, section 3.3, LIN",
    provenance="derived",
    claims=(
        "mdp.performance-difference-episodic", "dapo-linear.parameters", "dapo-linear.estimator-mean", "dapo-linear.bias",
        "dapo-linear.moments", "dapo-linear.dimension", "dapo-linear.weights-step", "dapo-linear.episode", "dapo-linear.step-drift",
        "dapo.ratio-drift", "bonus.dilated-telescoping", "dapo.occupancy-drift", "delays.counting", "dapo-linear.resampling-mean",
        "dapo-linear.resampling-norm", "dapo-linear.replay", "dapo-linear.bound-stated", "dapo-linear.bound",
        "dr-rpo.ridge-resampling",
    ),
    uses={
        "dapo-linear.bias": ("dapo-linear.estimator-mean", "dapo-linear.parameters"),
        "dapo-linear.episode": (
            "mdp.performance-difference-episodic", "dapo-linear.bias", "dapo-linear.moments", "dapo-linear.weights-step",
            "dapo.ratio-drift", "bonus.dilated-telescoping",
        ),
        "dapo-linear.resampling-norm": ("dapo-linear.resampling-mean",),
        "dapo-linear.bound": (
            "dapo-linear.episode", "dapo-linear.dimension", "dapo-linear.step-drift", "dapo.occupancy-drift", "delays.counting",
            "dapo-linear.replay", "dapo-linear.bound-stated",
        ),
    },
)  # fmt: skip

theorem(
    "delayed-hedge",
    statement=r"Hedge over $N$ policies with the estimator $1\{\cdot\} \ell / \max(\bar q, \tilde q)$, one after the other, every "
    r"$\eta > 0$: $\mathbb{E}[R_K] \le \frac{\log N}{\eta} + \frac{\eta}{2} H^2 S A K + 2 \eta H^2 \tilde D$.",
    source="dapo spec, section 4, HEDGE",
    provenance="derived",
    claims=(
        "delayed-hedge.weights-step", "delayed-hedge.estimator", "delayed-hedge.second-moment", "delayed-hedge.value-drift",
        "delayed-hedge.drift", "delays.truncation", "delays.counting", "delayed-hedge.replay", "delayed-hedge.bound",
    ),
    uses={
        "delayed-hedge.drift": ("delayed-hedge.estimator",),
        "delayed-hedge.bound": (
            "delayed-hedge.weights-step", "delayed-hedge.second-moment", "delayed-hedge.value-drift", "delayed-hedge.drift",
            "delays.truncation", "delays.counting", "delayed-hedge.replay",
        ),
    },
)  # fmt: skip

theorem(
    "block-adversary",
    statement=r"Losses that repeat in blocks of $b = d + 1$ episodes, two actions with losses $(x, 1 - x)$ for a fair bit $x$ per block, "
    r"all delays $d$: every learner loses $1/2$ per episode and step, and in a single state with $H = 1$ and $n = K / b$ even "
    r"$\mathbb{E}[R_K] = b \tfrac{n}{2} \binom{n}{n/2} 2^{-n} \approx \sqrt{(K + D) / (2 \pi)}$.",
    source="dapo spec, section 7.3",
    provenance="derived",
    claims=("delays.zero-information", "dapo.zero-information", "delays.block-adversary"),
    uses={"delays.block-adversary": ("delays.zero-information", "dapo.zero-information")},
)
