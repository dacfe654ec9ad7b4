/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * To sleep and to be woken costs more than most answers take: in a virtual machine the core is
 * given back to the hypervisor and has to be asked for. Two who talk by turns on one computer pay
 * that for each word. So who knows that an answer is due says so, and the loop looks for it without
 * sleeping, VIGIL_NS at most. Only who has an exchange under way may ask for it, so an idle loop
 * sleeps.
 *
 * It must pay. A kind of expectation that was disappointed is slept through once, and twice as
 * often plus once each further time, until one comes true: a server that thinks for a millisecond
 * costs VIGIL_NS of the core each thousandth time. And nobody is kept from working: between two
 * looks the core is offered to others. Was it taken for longer than AWAY_NS, somebody needs it;
 * then for each microsecond lost one expectation is slept through, so that no more than that is
 * lost on average.
 *
 * An expectation came true if the next one follows while the loop is awake: they come by turns.
 */
#include "port/vigil.h"

#include "base/util.h"

enum { VIGIL_NS = 60 * 1000, AWAY_NS = 50 * 1000, DOUBT_MAX = 1023 };

bool vigil_begin(struct vigil *v, enum loop_expectation kind, uint64_t now_ns)
{
    if (v->until_ns > 0)
        v->doubt[v->kind] = 0;
    v->until_ns = 0;
    if (v->rest > 0) {
        v->rest--;
        return false;
    }
    if (v->skipped[kind] > 0) {
        v->skipped[kind]--;
        return false;
    }
    v->kind = kind;
    v->until_ns = now_ns + VIGIL_NS;
    return true;
}

bool vigil_goes_on(struct vigil *v, uint64_t now_ns, uint64_t away_ns)
{
    if (v->until_ns == 0)
        return false;
    if (away_ns >= AWAY_NS) {
        v->rest = (uint32_t)MIN(away_ns / 1000, UINT32_MAX);
    } else if (now_ns >= v->until_ns) {
        v->doubt[v->kind] = (uint16_t)MIN(2 * v->doubt[v->kind] + 1, DOUBT_MAX);
        v->skipped[v->kind] = v->doubt[v->kind];
    } else {
        return true;
    }
    v->until_ns = 0;
    return false;
}
