/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/guest_session.h"

#include "base/log.h"
#include "port/sys.h"
#include "vm/agent_lane.h"
#include "vm/net_lane.h"
#include "vm/rancher_lane.h"
#include "vm/vm_source.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* THEORY
 *
 * Purpose. One virtual machine may hold an unmodified Rancher guest of generation A, one of
 * generation B and our own agent's two units, in any combination, each started and restarted when
 * it likes. So there is no order in which to look for them: four lanes run side by side, and this
 * file only sums them up.
 *
 *      guest_session
 *        |-- agent_lane  bridge   6680        dial, greet, reports          -> CONTROL
 *        |-- net_lane             6681, 6658  dial, greet, reports, offer   -> CONTROL
 *        |-- rancher_lane B       6670, 6657  probe, READY                  -> LINKED
 *        `-- rancher_lane A       6669, 6656  the same                      -> LINKED
 *
 * The data link is not ours: a worker of the host switch listens for it and has it. A lane asks
 * for that (want_link), is told when somebody listens, lets the guest dial, and hears from the
 * owner when the link starts, lives and ends.
 *
 * Life of a rancher lane.
 *
 *   PROBING --signature--> HANDSHAKE --------READY sent---------> WAIT_LINK --link--> LINKED
 *      ^  ^        want_link, then ready   |                          |                 |
 *      |  |                                |                          |                 |
 *      |  '-- nobody listens, READY failed-'                          |                 |
 *      '------------- no data link in link_timeout_ms, link ended ----+-----------------'
 *
 * The probe timer runs in every state, one conversation at a time. That is what makes the known
 * deadlocks impossible:
 *  - phantom: a machine that is going away still answers, gets READY, and never dials. The new one
 *    has a session of its own; and this lane goes on probing while it waits for the link.
 *  - restarted guest: network-setup started again listens for a handshake while we hold the link
 *    of its predecessor. Its signature is heard, and once the old link has been quiet for
 *    link_quiet_ms it gets READY; the new data link replaces the old one. A link with frames on it
 *    is never replaced: then the signature is a second distribution's of the same generation.
 *  - READY that got lost: the guest still answers with its signature, and gets READY again.
 * The other half of that is patience: a silent peer, another phrase or a refused dial is a finding
 * and the next probe follows after probe_interval_ms (five times that where hurry has no point, see
 * rancher_lane.c). Nothing is given up; budget_ms only changes the reason that readers see.
 *
 * Invariants. READY is sent, and a port offered, only while somebody of ours listens there; READY
 * under way is cut off when that ends. The wish for a link is taken back when the wait for it is
 * over, so that a phantom does not keep the port. Every dial, read and wait has a deadline. A
 * session never reaches into another one, so that two machines cannot be mixed up. on_change()
 * comes from a timer of zero: lanes may change several things in one event, and the owner may free
 * the session in it.
 *
 * Limits. At most one dial or stream per lane, four lanes per machine; what an agent reports is cut
 * to the bounds of ipc/health.h.
 *
 * Conditions and reasons (docs/troubleshooting.md has an entry for each reason):
 *
 *   GuestFound   True     SignatureMatched   a Rancher guest answered (generation A or B)
 *                True     ControlOpen        rdlink-agent answered (v2)
 *                False    Probing            no port has been tried to the end yet
 *                False    NoListener         nobody listens on any handshake port
 *                False    PeerSilent         somebody accepts there and says nothing
 *                False    PeerClosed         somebody accepts there and hangs up
 *                False    WrongPhrase        somebody speaks there, but not our phrase
 *                False    GuestGone          a guest was found earlier, and answers no more
 *                False    HandshakeOverdue   none of ours has answered for budget_ms
 *   LinkUp       True     Linked             a data link is up
 *                False    NoGuest            no A or B guest has answered
 *                False    SwitchStarting     the guest waits for the host switch to listen
 *                False    Handshaking        READY is being sent
 *                False    WaitingForLink     READY was sent, the guest has yet to dial
 *                False    ReadyFailed        READY did not get through
 *                False    LinkTimeout        READY was sent, but the guest never dialled
 *                False    LinkLost           there was a link; it ended
 *                False    DataPortTaken      another program listens on our data port
 *                False    ListenFailed       nobody of ours listens on the data port
 *                False    HandshakeOverdue   a guest answered, but no link for budget_ms
 *                Unknown  NetworkDisabled    this host was told to have no switch
 *                Unknown  ControlOnly        only the agent's bridge is there, which needs no link
 *   AgentHealthy True     Serving            every component of the bridge says it serves
 *                False    NotServing         one of them says it does not
 *                Unknown  NoReport           the channel is open, the first report is due
 *                Unknown  NoAgent            no agent has answered: an unmodified guest has none
 *                False    AgentRefused       something answers there, but does not greet properly
 *                False    VersionMismatch    an agent of another major protocol version
 *                False    AgentLost          the control channel ended; it is being dialled again
 *                False    ProofFailed        it has another key than we for its instance
 *                False    ProofMissing       proof is required, of it or of us, and was not given
 *   NetAgentHealthy                          the same of the agent's network unit
 *   Authenticated True    Proved             each unit that is there is proved, and so are we to it
 *                Unknown  NoKey              we have no key for the agent's instance
 *                False    PeerNoKey          we have one, the agent has none
 *                False    PeerTooOld         the agent is of a version without proof
 *                Unknown  LegacyGuest        a Rancher guest (A or B): its handshake proves nothing
 *                False    ProofFailed, ProofMissing  as above; such a unit is not taken
 *                Unknown  NoGuest            nobody is there who could
 */

#define PICK(value, fallback) ((value) ? (value) : (fallback))

struct guest_session {
    struct loop *loop;             /* borrowed */
    const struct session_ops *ops; /* borrowed */
    void *ctx;
    char vm_id[VM_ID_MAX];
    char instance[VM_ID_MAX];
    struct addr vm;
    struct session_config times;
    struct lane_totals totals;
    struct rancher_lane a, b;
    struct agent_lane bridge;
    struct net_lane net;
    enum session_state state;
    enum guest_generation generation;
    uint64_t since_ms;
    bool was_found; /* ever */
    bool overdue;
    struct timer budget_timer; /* runs while there is neither link nor channel */
    struct timer notify_timer; /* zero: on_change() is due */
    char last_error[160];
    enum guest_generation error_lane; /* whose error that is */
    struct condition_set conditions;
    struct log_limit changes_log; /* a guest decides how often conditions change */
};

const char *guest_generation_name(enum guest_generation g)
{
    static const char *const names[] = {
        [GUEST_NONE] = "none", [GUEST_A] = "A", [GUEST_B] = "B", [GUEST_V2] = "v2"
    };
    static_assert(ARRAY_SIZE(names) == GUEST_GENERATION_COUNT, "a name for each");
    return names[g];
}

const char *session_state_name(enum session_state s)
{
    static const char *const names[] = { [SESSION_PROBING] = "probing",
                                         [SESSION_HANDSHAKE] = "handshake",
                                         [SESSION_WAIT_LINK] = "wait_link",
                                         [SESSION_LINKED] = "linked",
                                         [SESSION_CONTROL] = "control" };
    static_assert(ARRAY_SIZE(names) == SESSION_STATE_COUNT, "a name for each");
    return names[s];
}

/* ---- the sum of the lanes ---------------------------------------------------------------- */

static bool has_agent(const struct guest_session *s)
{
    return s->bridge.is_open || s->net.agent.is_open;
}

static enum session_state agent_state(const struct guest_session *s)
{
    return has_agent(s) ? SESSION_CONTROL : SESSION_PROBING;
}

/* The lane that came furthest; the states are numbered in that order. */
static enum session_state furthest(const struct guest_session *s, enum guest_generation *who)
{
    enum session_state best = SESSION_PROBING;

    *who = GUEST_NONE;
    if (s->a.state > best) {
        best = s->a.state;
        *who = GUEST_A;
    }
    if (s->b.state > best) {
        best = s->b.state;
        *who = GUEST_B;
    }
    if (agent_state(s) > best) {
        best = agent_state(s);
        *who = GUEST_V2;
    }
    return best;
}

/* Of the two rancher lanes the one whose story a reader wants to hear. */
static const struct rancher_lane *leading_lane(const struct guest_session *s)
{
    if (s->a.state != s->b.state)
        return s->a.state > s->b.state ? &s->a : &s->b;
    if (!s->a.trouble != !s->b.trouble)
        return s->a.trouble ? &s->a : &s->b;
    return s->b.finding >= s->a.finding ? &s->b : &s->a;
}

struct reason {
    enum condition_status status;
    const char *name;
    const char *text;
};

/* The latest word of the lane is that a guest is there. */
static bool lane_has_guest(const struct rancher_lane *l)
{
    return l->state != SESSION_PROBING || l->finding == LANE_ANSWERED;
}

/* Neither lane has one: what keeps us from it, the most telling of the two findings first. */
static struct reason finding_reason(const struct guest_session *s)
{
    enum lane_finding most = MAX(s->a.finding, s->b.finding);

    switch (most) {
    case LANE_WRONG_PHRASE:
        return (struct reason){ COND_FALSE, "WrongPhrase",
                                "another program answers on the handshake port" };
    case LANE_PEER_SILENT:
        return (struct reason){ COND_FALSE, "PeerSilent",
                                "the handshake port accepts, but says nothing" };
    case LANE_PEER_CLOSED:
        return (struct reason){ COND_FALSE, "PeerClosed",
                                "the handshake port accepts and hangs up" };
    default: break;
    }
    if (s->was_found)
        return (struct reason){ COND_FALSE, "GuestGone", "the guest answers no more" };
    if (s->a.finding == LANE_NOT_TRIED || s->b.finding == LANE_NOT_TRIED || !s->bridge.tried)
        return (struct reason){ COND_FALSE, "Probing", "looking for a guest" };
    return (struct reason){ COND_FALSE, "NoListener",
                            "nobody listens on a handshake port; is Rancher Desktop's "
                            "distribution running in this machine?" };
}

/* Where proof is required nobody but an agent counts. */
static struct reason agent_missing_reason(const struct guest_session *s)
{
    const struct agent_lane *l = &s->bridge;

    if (l->end == AGENT_PROOF_FAILED)
        return (struct reason){ COND_FALSE, "ProofFailed", l->end_text };
    if (l->end == AGENT_PROOF_MISSING)
        return (struct reason){ COND_FALSE, "ProofMissing", l->end_text };
    if (s->was_found)
        return (struct reason){ COND_FALSE, "GuestGone", "the guest answers no more" };
    if (!l->tried)
        return (struct reason){ COND_FALSE, "Probing", "looking for a guest" };
    return (struct reason){ COND_FALSE, "NoListener",
                            "no rdlink-agent answers, and proof is required" };
}

static struct reason found_reason(const struct guest_session *s)
{
    if (has_agent(s))
        return (struct reason){ COND_TRUE, "ControlOpen", "rdlink-agent answered" };
    if (lane_has_guest(&s->a) || lane_has_guest(&s->b))
        return (struct reason){ COND_TRUE, "SignatureMatched", "a Rancher guest answered" };
    if (s->overdue)
        return (struct reason){ COND_FALSE, "HandshakeOverdue",
                                "no guest has answered in time; still probing" };
    if (s->times.require_proof)
        return agent_missing_reason(s);
    return finding_reason(s);
}

static struct reason trouble_reason(enum lane_trouble trouble, const char *text)
{
    switch (trouble) {
    case LANE_PORT_TAKEN: return (struct reason){ COND_FALSE, "DataPortTaken", text };
    case LANE_LISTEN_FAILED: return (struct reason){ COND_FALSE, "ListenFailed", text };
    case LANE_NETWORK_OFF: return (struct reason){ COND_UNKNOWN, "NetworkDisabled", text };
    case LANE_READY_FAILED: return (struct reason){ COND_FALSE, "ReadyFailed", text };
    case LANE_LINK_TIMEOUT: return (struct reason){ COND_FALSE, "LinkTimeout", text };
    case LANE_LINK_LOST: return (struct reason){ COND_FALSE, "LinkLost", text };
    case LANE_NO_TROUBLE: break;
    }
    return (struct reason){ COND_FALSE, "NoGuest", "no Rancher guest has answered" };
}

static struct reason switch_starting(void)
{
    return (struct reason){ COND_FALSE, "SwitchStarting",
                            "the host switch is being started for the guest" };
}

static struct reason waiting_for_link(void)
{
    return (struct reason){ COND_FALSE, "WaitingForLink", "the guest has yet to dial" };
}

static struct reason net_link_reason(const struct net_lane *l)
{
    if (l->link.answer == LANE_NO_ANSWER)
        return switch_starting();
    if (l->trouble != LANE_NO_TROUBLE)
        return trouble_reason(l->trouble, l->trouble_text);
    return waiting_for_link();
}

static struct reason rancher_link_reason(const struct guest_session *s,
                                         const struct rancher_lane *l)
{
    if (l->trouble == LANE_NO_TROUBLE && l->state == SESSION_PROBING && s->bridge.is_open)
        return (struct reason){ COND_UNKNOWN, "ControlOnly",
                                "only rdlink-agent's bridge is there, which needs no data link" };
    if (l->trouble == LANE_NETWORK_OFF)
        return trouble_reason(l->trouble, l->trouble_text);
    if (s->overdue && (l->state != SESSION_PROBING || l->trouble != LANE_NO_TROUBLE))
        return (struct reason){ COND_FALSE, "HandshakeOverdue",
                                "a guest answered, but its data link did not come in time" };
    if (l->state == SESSION_HANDSHAKE && l->link.answer == LANE_NO_ANSWER)
        return switch_starting();
    if (l->state == SESSION_HANDSHAKE)
        return (struct reason){ COND_FALSE, "Handshaking", "sending READY" };
    if (l->state == SESSION_WAIT_LINK)
        return waiting_for_link();
    return trouble_reason(l->trouble, l->trouble_text);
}

/* A link that is there, then what our own agent waits for, then the Rancher guest's story. */
static struct reason link_reason(const struct guest_session *s)
{
    const struct rancher_lane *l = leading_lane(s);

    if (l->state == SESSION_LINKED || s->net.link.live)
        return (struct reason){ COND_TRUE, "Linked", "the data link is up" };
    if (s->net.agent.is_open)
        return net_link_reason(&s->net);
    return rancher_link_reason(s, l);
}

static struct reason agent_reason(const struct agent_lane *l)
{
    if (l->is_open && !l->reports)
        return (struct reason){ COND_UNKNOWN, "NoReport", "waiting for the first report" };
    if (l->is_open && agent_lane_is_serving(l))
        return (struct reason){ COND_TRUE, "Serving", "the agent serves" };
    if (l->is_open)
        return (struct reason){ COND_FALSE, "NotServing",
                                "the agent says that it does not serve; see its conditions" };
    switch (l->end) {
    case AGENT_REFUSED: return (struct reason){ COND_FALSE, "AgentRefused", l->end_text };
    case AGENT_WRONG_VERSION: return (struct reason){ COND_FALSE, "VersionMismatch", l->end_text };
    case AGENT_PROOF_FAILED: return (struct reason){ COND_FALSE, "ProofFailed", l->end_text };
    case AGENT_PROOF_MISSING: return (struct reason){ COND_FALSE, "ProofMissing", l->end_text };
    case AGENT_LOST: return (struct reason){ COND_FALSE, "AgentLost", l->end_text };
    case AGENT_NEVER_SEEN: break;
    }
    return (struct reason){ COND_UNKNOWN, "NoAgent", "no rdlink-agent has answered" };
}

static bool has_failed_proof(const struct agent_lane *l, enum agent_end end)
{
    return !l->is_open && l->end == end;
}

/* Of an agent that is there. */
static struct reason unproved_reason(enum channel_proved proved)
{
    switch (proved) {
    case CHANNEL_NO_KEY:
        return (struct reason){ COND_UNKNOWN, "NoKey",
                                "this host has no key for the instance that the agent names" };
    case CHANNEL_PEER_NO_KEY:
        return (struct reason){ COND_FALSE, "PeerNoKey",
                                "this host has a key for the agent's instance, it has none" };
    default:
        return (struct reason){ COND_FALSE, "PeerTooOld",
                                "the agent is of a version without proof" };
    }
}

/* The worst of what is there. */
static struct reason proof_reason(const struct guest_session *s)
{
    const struct agent_lane *lanes[] = { &s->bridge, &s->net.agent };

    for (unsigned i = 0; i < ARRAY_SIZE(lanes); i++)
        if (has_failed_proof(lanes[i], AGENT_PROOF_FAILED))
            return (struct reason){ COND_FALSE, "ProofFailed", lanes[i]->end_text };
    for (unsigned i = 0; i < ARRAY_SIZE(lanes); i++)
        if (has_failed_proof(lanes[i], AGENT_PROOF_MISSING))
            return (struct reason){ COND_FALSE, "ProofMissing", lanes[i]->end_text };
    for (unsigned i = 0; i < ARRAY_SIZE(lanes); i++)
        if (lanes[i]->is_open && lanes[i]->peer.proved != CHANNEL_PROVED)
            return unproved_reason(lanes[i]->peer.proved);
    if (lane_has_guest(&s->a) || lane_has_guest(&s->b))
        return (struct reason){ COND_UNKNOWN, "LegacyGuest",
                                "a Rancher guest's own handshake proves nothing" };
    if (has_agent(s))
        return (struct reason){ COND_TRUE, "Proved", "the agent and this host have the same key" };
    return (struct reason){ COND_UNKNOWN, "NoGuest", "nobody is there who could" };
}

/* Each change is a line, but for the first value of all, which says that nothing is known yet. */
static void set_condition(struct guest_session *s, const char *type, struct reason r)
{
    bool is_first = !condition_find(&s->conditions, type);

    if (!condition_update(&s->conditions, type, r.status, r.name, sys_wall_ms(), "%s", r.text))
        return;
    if (!is_first)
        log_write_limited(&s->changes_log, LOG_INFO, LOG_VM, "vm=%s %s=%s reason=%s: %s", s->vm_id,
                          type, condition_status_name(r.status), r.name, r.text);
}

/* The budget counts the time without link and channel, in one piece. */
static void keep_budget(struct guest_session *s)
{
    if (s->state == SESSION_LINKED || s->state == SESSION_CONTROL) {
        timer_stop(&s->budget_timer);
        s->overdue = false;
    } else if (!s->overdue && !timer_is_running(&s->budget_timer)) {
        timer_start(&s->budget_timer, s->times.budget_ms);
    }
}

static void sum_up(struct guest_session *s)
{
    enum guest_generation who;
    enum session_state state = furthest(s, &who);

    if (state != s->state || who != s->generation) {
        s->state = state;
        s->generation = who;
        s->since_ms = loop_now_ms(s->loop);
        if (state == SESSION_LINKED || state == SESSION_CONTROL)
            s->last_error[0] = '\0';
    }
    if (has_agent(s) || lane_has_guest(&s->a) || lane_has_guest(&s->b))
        s->was_found = true;
    keep_budget(s);
    set_condition(s, "GuestFound", found_reason(s));
    set_condition(s, "LinkUp", link_reason(s));
    set_condition(s, "AgentHealthy", agent_reason(&s->bridge));
    set_condition(s, "NetAgentHealthy", agent_reason(&s->net.agent));
    set_condition(s, "Authenticated", proof_reason(s));
}

/* ---- what the lanes tell ----------------------------------------------------------------- */

static void on_lane_change(void *ctx)
{
    struct guest_session *s = ctx;

    rancher_lane_set_unhurried(&s->a, has_agent(s));
    rancher_lane_set_unhurried(&s->b, has_agent(s));
    sum_up(s);
    timer_start(&s->notify_timer, 0);
}

/* The error that readers see belongs to one lane, generation A's to begin with: all of them find an
 * empty machine empty, and a text that changes from one to the other tells nobody more. */
static void on_lane_failure(void *ctx, enum guest_generation generation, bool nobody,
                            const char *text)
{
    struct guest_session *s = ctx;
    const uint32_t ports[] = {
        [GUEST_A] = s->times.port_a, [GUEST_B] = s->times.port_b, [GUEST_V2] = s->times.port_v2
    };

    if (nobody && (s->was_found || s->error_lane != generation))
        return;
    s->error_lane = generation;
    snprintf(s->last_error, sizeof s->last_error, "generation %s, port %u: %.110s",
             guest_generation_name(generation), (unsigned)ports[generation], text);
}

static void on_want_link(void *ctx, enum guest_generation generation)
{
    struct guest_session *s = ctx;
    const uint32_t ports[] = {
        [GUEST_A] = s->times.data_a, [GUEST_B] = s->times.data_b, [GUEST_V2] = s->times.data_v2
    };
    const struct link_token *token =
        generation == GUEST_V2 && s->net.has_token ? &s->net.token : NULL;

    s->ops->want_link(s->ctx, s, generation, ports[generation], token);
}

static void on_release_link(void *ctx, enum guest_generation generation)
{
    struct guest_session *s = ctx;

    s->ops->release_link(s->ctx, s, generation);
}

static void on_published(void *ctx, const Rdlink__V1__PublishedPorts *ports)
{
    struct guest_session *s = ctx;

    net_lane_publish(&s->net, ports);
    s->ops->on_published(s->ctx, s, ports);
}

static void on_relayed(void *ctx, const Rdlink__V1__PublishedPorts *ports)
{
    struct guest_session *s = ctx;

    s->ops->on_relayed(s->ctx, s, ports);
}

static const struct rancher_lane_ops lane_ops = { on_lane_change, on_lane_failure, on_want_link,
                                                  on_release_link };
static const struct agent_lane_ops agent_ops = { .on_change = on_lane_change,
                                                 .on_failure = on_lane_failure,
                                                 .on_published = on_published };

static void on_budget(void *ctx)
{
    struct guest_session *s = ctx;

    s->overdue = true;
    log_warn(LOG_VM, "vm=%s no link after %u s, still probing; last: %s", s->vm_id,
             (unsigned)(s->times.budget_ms / 1000), s->last_error);
    on_lane_change(s);
}

static void on_notify(void *ctx)
{
    struct guest_session *s = ctx;

    s->ops->on_change(s->ctx, s);
}

/* ---- life -------------------------------------------------------------------------------- */

static struct session_config with_defaults(const struct session_config *c)
{
    return (struct session_config){
        .probe_interval_ms = PICK(c->probe_interval_ms, 1000),
        .dial_timeout_ms = PICK(c->dial_timeout_ms, 2000),
        .read_timeout_ms = PICK(c->read_timeout_ms, 5000),
        .link_timeout_ms = PICK(c->link_timeout_ms, 10000),
        .budget_ms = PICK(c->budget_ms, 300000),
        .link_quiet_ms = PICK(c->link_quiet_ms, 3000),
        .port_a = PICK(c->port_a, 6669),
        .data_a = PICK(c->data_a, 6656),
        .port_b = PICK(c->port_b, 6670),
        .data_b = PICK(c->data_b, 6657),
        .port_v2 = PICK(c->port_v2, 6680),
        .port_net = PICK(c->port_net, 6681),
        .data_v2 = PICK(c->data_v2, 6658),
        .mtu = c->mtu,
        .keys = c->keys,
        .relays_ports = c->relays_ports,
        .require_proof = c->require_proof,
    };
}

static void init_lanes(struct guest_session *s)
{
    static const Rdlink__V1__Role bridge_role = RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE;
    static const Rdlink__V1__Role net_role = RDLINK__V1__ROLE__ROLE_AGENT_NET;
    struct rancher_lane_config c = {
        .vm_id = s->vm_id, .vm = &s->vm, .times = &s->times, .totals = &s->totals
    };
    struct agent_lane_config agent = { .vm_id = s->vm_id,
                                       .instance = s->instance,
                                       .unit = "bridge",
                                       .role = &bridge_role,
                                       .at = addr_at_port(&s->vm, s->times.port_v2),
                                       .times = &s->times,
                                       .totals = &s->totals };

    agent_lane_init(&s->bridge, s->loop, &agent, &agent_ops, s);
    agent.unit = "net";
    agent.role = &net_role;
    agent.at = addr_at_port(&s->vm, s->times.port_net);
    net_lane_init(&s->net, s->loop, &agent, &lane_ops, on_relayed, s);
    c.generation = GUEST_B;
    c.signature = &SIGNATURE_B;
    c.handshake_port = s->times.port_b;
    rancher_lane_init(&s->b, s->loop, &c, &lane_ops, s);
    c.generation = GUEST_A;
    c.signature = &SIGNATURE_A;
    c.handshake_port = s->times.port_a;
    rancher_lane_init(&s->a, s->loop, &c, &lane_ops, s);
}

enum status guest_session_new(struct guest_session **out, struct loop *loop,
                              const struct vm_info *vm, const char *instance,
                              const struct session_config *config, const struct session_ops *ops,
                              void *ctx)
{
    struct guest_session *s = calloc(1, sizeof *s);

    if (!s)
        return ST_NOMEM;
    s->loop = loop;
    s->ops = ops;
    s->ctx = ctx;
    s->vm = vm->addr;
    s->times = with_defaults(config);
    s->error_lane = GUEST_A;
    s->changes_log.burst = LOG_BURST;
    s->since_ms = loop_now_ms(loop);
    snprintf(s->vm_id, sizeof s->vm_id, "%s", vm->id);
    snprintf(s->instance, sizeof s->instance, "%s", instance);
    timer_init(&s->budget_timer, loop, on_budget, s);
    timer_init(&s->notify_timer, loop, on_notify, s);
    init_lanes(s);
    sum_up(s);
    *out = s;
    return ST_OK;
}

void guest_session_set(struct guest_session *s, const struct session_config *config)
{
    bool is_other = s->times.relays_ports != config->relays_ports;

    s->times.probe_interval_ms = PICK(config->probe_interval_ms, 1000);
    s->times.mtu = config->mtu;
    s->times.relays_ports = config->relays_ports;
    if (is_other)
        net_lane_relays_changed(&s->net);
}

void guest_session_probe_now(struct guest_session *s)
{
    agent_lane_probe_now(&s->bridge);
    agent_lane_probe_now(&s->net.agent);
    rancher_lane_probe_now(&s->b);
    rancher_lane_probe_now(&s->a);
}

void guest_session_keys_changed(struct guest_session *s)
{
    agent_lane_keys_changed(&s->bridge);
    agent_lane_keys_changed(&s->net.agent);
}

/* NULL = the agent's. */
static struct rancher_lane *lane_of(struct guest_session *s, enum guest_generation generation)
{
    ASSERT(generation > GUEST_NONE && generation < GUEST_GENERATION_COUNT);
    return generation == GUEST_A ? &s->a : generation == GUEST_B ? &s->b : NULL;
}

void guest_session_link_ready(struct guest_session *s, enum guest_generation generation,
                              enum status st, const char *why)
{
    struct rancher_lane *l = lane_of(s, generation);

    if (l)
        rancher_lane_link_ready(l, st, why);
    else
        net_lane_link_ready(&s->net, st, why);
}

void guest_session_on_link_start(struct guest_session *s, enum guest_generation generation)
{
    struct rancher_lane *l = lane_of(s, generation);

    if (l)
        rancher_lane_link_started(l);
    else
        net_lane_link_started(&s->net);
}

void guest_session_on_link_activity(struct guest_session *s, enum guest_generation generation)
{
    struct rancher_lane *l = lane_of(s, generation);

    if (l)
        rancher_lane_link_active(l);
    else
        net_lane_link_active(&s->net);
}

void guest_session_on_link_end(struct guest_session *s, enum guest_generation generation,
                               enum status why)
{
    struct rancher_lane *l = lane_of(s, generation);

    if (l)
        rancher_lane_link_ended(l, why);
    else
        net_lane_link_ended(&s->net, why);
}

void guest_session_view(const struct guest_session *s, struct session_view *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->vm_id, s->vm_id, sizeof out->vm_id);
    out->addr = s->vm;
    out->state = s->state;
    out->generation = s->generation;
    out->lanes[GUEST_A] = s->a.state;
    out->lanes[GUEST_B] = s->b.state;
    out->lanes[GUEST_V2] = agent_state(s);
    out->since_ms = s->since_ms;
    out->probes = s->totals.probes;
    out->matches = s->totals.matches;
    out->mismatches = s->totals.mismatches;
    out->timeouts = s->totals.timeouts;
    out->handshakes = s->totals.handshakes;
    out->links = s->totals.links;
    out->proofs = s->totals.proofs;
    out->proof_failures = s->totals.proof_failures;
    memcpy(out->last_error, s->last_error, sizeof out->last_error);
    out->conditions = s->conditions;
    agent_lane_view(&s->bridge, &out->bridge);
    agent_lane_view(&s->net.agent, &out->net);
}

void guest_session_free(struct guest_session *s)
{
    if (!s)
        return;
    agent_lane_fini(&s->bridge);
    net_lane_fini(&s->net);
    rancher_lane_fini(&s->b);
    rancher_lane_fini(&s->a);
    timer_stop(&s->budget_timer);
    timer_stop(&s->notify_timer);
    free(s);
}
