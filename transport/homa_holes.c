/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Losses that show before the timer does, with the parameter hole_recovery_us:
 *
 *	a hole   bytes missing below others that have come. If they are still missing a while
 *	         later they are lost, unless what came was granted at a higher priority than
 *	         what is missing and may have overtaken it; but nothing waits behind a link
 *	         that is hardly used. Lost bytes do not count as under way any more. They are
 *	         asked for in the way that grants are given: for active messages, within their
 *	         windows, so that recovery overflows no buffer either.
 *	a stall  hardly anything comes, though the bytes under way leave little to grant. Those
 *	         of messages that are silent count no longer. What is granted instead is sent
 *	         behind them, and shows where the holes are. Of granted bytes, max_incoming are let
 *	         off at a time: hosts that stand still may all go on at once.
 *
 * Everything else is left to the timer, as are holes that are asked for in vain.
 */
#include "homa_state.h"

#define QUIET_PART    4    /* a link of which less than this part is used has no queue */
#define QUIET_PERIODS 5    /* and if it was so for this long, nothing waits in front of others' either */
#define AT_ONCE       1024 /* messages looked at in a period */

static uint32_t minimum(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint64_t patience_ns(const struct homa *homa)
{
	return homa->params.hole_recovery_us * 1000ull;
}

static void begin_period(struct homa *homa)
{
	homa->period_ns = homa->now_ns;
	homa->period_bytes = homa->counters.bytes_in;
}

static void unwatch(struct homa *homa, struct homa_rpc *rpc)
{
	if (rpc->in.watched == HOMA_SUSPECT)
		TAILQ_REMOVE(&homa->suspects, rpc, watch);
	else if (rpc->in.watched == HOMA_UNPROVEN)
		TAILQ_REMOVE(&homa->unproven, rpc, watch);
	rpc->in.watched = HOMA_UNWATCHED;
}

static void suspect(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_message_in *in = &rpc->in;

	if (TAILQ_EMPTY(&homa->suspects) && TAILQ_EMPTY(&homa->unproven)) {
		begin_period(homa);
		homa->quiet_periods = 0;
	}
	unwatch(homa, rpc);
	in->suspect_end = in->received_end;
	in->suspect_ns = homa->now_ns;
	in->watched = HOMA_SUSPECT;
	TAILQ_INSERT_TAIL(&homa->suspects, rpc, watch);
}

/* `grants`: how many of the bytes needed a grant. */
static void set_forgiven(struct homa *homa, struct homa_message_in *in, uint32_t bytes, uint32_t grants)
{
	homa->forgiven_grants += grants;
	homa->forgiven_grants -= in->forgiven_grants;
	in->forgiven = bytes;
	in->forgiven_grants = grants;
}

/* A gap is settled as a whole: it only shrinks and splits. */
static bool has_new_gap(struct homa_message_in *in)
{
	const struct range *gap = ranges_get(&in->gaps);

	for (uint32_t i = 0; i < in->gaps.count; i++)
		if (!ranges_contain(&in->settled, gap[i].start, gap[i].end))
			return true;
	return false;
}

void homa_holes_received(struct homa *homa, struct homa_rpc *rpc, uint32_t start, uint32_t end, uint32_t added)
{
	struct homa_message_in *in = &rpc->in;

	if (in->forgiven) {
		uint32_t left = in->forgiven > added ? in->forgiven - added : 0;

		set_forgiven(homa, in, left, minimum(left, in->forgiven_grants));
	}
	/* Late after all. Where memory is short it is asked for in vain. */
	if (in->lost.count)
		ranges_subtract(&in->lost, start, end);
	if (homa->params.hole_recovery_us && in->watched != HOMA_SUSPECT && has_new_gap(in))
		suspect(homa, rpc);
}

void homa_holes_granted(const struct homa *homa, struct homa_message_in *in, uint8_t priority)
{
	uint32_t from = in->received_end;

	in->granted_ns = homa->now_ns;
	if (priority > in->priority) {
		/* What overtakes granted bytes still is behind the unscheduled ones. */
		if (priority <= homa->params.max_sched_prio && from <= in->unscheduled)
			from = in->unscheduled + 1;
		/* Where there is no room two become one. */
		if (in->raise_count == HOMA_RAISES)
			from = in->raises[--in->raise_count].start;
		in->raises[in->raise_count++] = (struct range){ from, in->granted };
	}
	in->priority = priority;
}

void homa_holes_asked(struct homa *homa, struct homa_message_in *in)
{
	ranges_free(&in->lost);
	ranges_add(&in->settled, 0, in->received_end);
	set_forgiven(homa, in, 0, 0);
}

void homa_holes_end(struct homa *homa, struct homa_rpc *rpc)
{
	unwatch(homa, rpc);
	set_forgiven(homa, &rpc->in, 0, 0);
	ranges_free(&rpc->in.lost);
	ranges_free(&rpc->in.settled);
}

/* The byte after a gap has come. Whether it cannot have overtaken the gap's. */
static bool proves(const struct homa_message_in *in, const struct range *gap)
{
	for (uint32_t i = 0; i < in->raise_count; i++)
		if (gap->start < in->raises[i].end && gap->end >= in->raises[i].start)
			return false;
	return true;
}

/* Finds out what of a message is lost; the rest of its gaps is watched on. */
static void examine(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_message_in *in = &rpc->in;
	const struct range *gap = ranges_get(&in->gaps);

	unwatch(homa, rpc);
	for (uint32_t i = 0; i < in->gaps.count && gap[i].start < in->suspect_end; i++)
		if ((homa->quiet_periods >= QUIET_PERIODS || proves(in, &gap[i])) &&
		    !ranges_contain(&in->settled, gap[i].start, gap[i].end) &&
		    ranges_add(&in->settled, gap[i].start, gap[i].end))
			ranges_add(&in->lost, gap[i].start, gap[i].end);
	set_forgiven(homa, in, 0, 0);
	if (in->lost.count)
		homa_grant_lost(homa, rpc);
	if (!has_new_gap(in))
		return;
	if (in->received_end > in->suspect_end) {
		suspect(homa, rpc);
		return;
	}
	in->watched = HOMA_UNPROVEN;
	TAILQ_INSERT_TAIL(&homa->unproven, rpc, watch);
}

/* Whether what is under way may keep others from being granted. */
static bool may_stall(const struct homa *homa)
{
	return homa->total_granted > homa->params.max_incoming / 2 && !TAILQ_EMPTY(&homa->grantable_by_age);
}

/* Each message once, until something of it comes. */
static void forgive(struct homa *homa)
{
	struct homa_rpc *rpc;
	uint32_t looked_at = 0, grants;

	TAILQ_FOREACH (rpc, &homa->grantable_by_age, fifo) {
		struct homa_message_in *in = &rpc->in;

		if (looked_at++ == AT_ONCE)
			return;
		if (in->forgiven || homa->now_ns - rpc->heard_ns < patience_ns(homa) ||
		    homa->now_ns - in->granted_ns < patience_ns(homa))
			continue;
		grants = minimum(in->outstanding, in->granted - in->unscheduled);
		if (homa->forgiven_grants + grants > homa->params.max_incoming)
			continue;
		set_forgiven(homa, in, in->outstanding, grants);
		homa_grant_progress(homa, rpc);
	}
}

static void end_period(struct homa *homa)
{
	uint64_t used_ns = (homa->counters.bytes_in - homa->period_bytes) * 8000 / homa->params.link_mbps;
	struct homa_rpc *rpc;

	if (used_ns * QUIET_PART < homa->now_ns - homa->period_ns) {
		homa->quiet_periods++;
		if (may_stall(homa))
			forgive(homa);
	} else {
		homa->quiet_periods = 0;
	}
	begin_period(homa);
	for (uint32_t i = 0; i < AT_ONCE && homa->quiet_periods >= QUIET_PERIODS; i++) {
		rpc = TAILQ_FIRST(&homa->unproven);
		if (!rpc)
			break;
		examine(homa, rpc);
	}
}

void homa_holes_run(struct homa *homa)
{
	struct homa_rpc *rpc;

	if (!homa->params.hole_recovery_us)
		return;
	if (homa->now_ns - homa->period_ns >= patience_ns(homa))
		end_period(homa);
	while ((rpc = TAILQ_FIRST(&homa->suspects)) && homa->now_ns - rpc->in.suspect_ns >= patience_ns(homa))
		examine(homa, rpc);
}

uint64_t homa_holes_next(const struct homa *homa)
{
	const struct homa_rpc *rpc = TAILQ_FIRST(&homa->suspects);
	uint64_t since_ns = UINT64_MAX;

	if (rpc)
		since_ns = rpc->in.suspect_ns;
	if ((may_stall(homa) || !TAILQ_EMPTY(&homa->unproven)) && homa->period_ns < since_ns)
		since_ns = homa->period_ns;
	if (!homa->params.hole_recovery_us || since_ns == UINT64_MAX)
		return UINT64_MAX;
	return since_ns + patience_ns(homa);
}
