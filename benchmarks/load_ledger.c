/* SPDX-License-Identifier: BSD-2-Clause */
/* The server's ledger of executed calls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load_ledger.h"

struct page {
	uint64_t client;
	uint64_t used;  /* the ledger's clock when it was last noted */
	uint64_t next;  /* one more than the highest sequence seen */
	uint64_t *bits; /* bit (sequence mod LEDGER_WINDOW); NULL: the page is free */
	struct ledger_counts counts;
};

struct ledger {
	uint64_t clock; /* counts ledger_note */
	struct page *last;
	struct page pages[LEDGER_CLIENTS];
};

struct ledger *ledger_create(void)
{
	return calloc(1, sizeof(struct ledger));
}

void ledger_destroy(struct ledger *ledger)
{
	if (!ledger)
		return;
	for (int i = 0; i < LEDGER_CLIENTS; i++)
		free(ledger->pages[i].bits);
	free(ledger);
}

static struct page *find(const struct ledger *ledger, uint64_t client)
{
	for (int i = 0; i < LEDGER_CLIENTS; i++)
		if (ledger->pages[i].bits && ledger->pages[i].client == client)
			return (struct page *)&ledger->pages[i];
	return NULL;
}

static struct page *open_page(struct ledger *ledger, uint64_t client)
{
	struct page *page = &ledger->pages[0];

	for (int i = 0; i < LEDGER_CLIENTS && page->bits; i++)
		if (!ledger->pages[i].bits || ledger->pages[i].used < page->used)
			page = &ledger->pages[i];
	free(page->bits);
	*page = (struct page){ .client = client, .bits = calloc(1, LEDGER_WINDOW / 8) };
	return page->bits ? page : NULL;
}

static void set_bit(struct page *page, uint64_t sequence, bool value)
{
	uint64_t bit = sequence % LEDGER_WINDOW;

	if (value)
		page->bits[bit / 64] |= 1ull << (bit % 64);
	else
		page->bits[bit / 64] &= ~(1ull << (bit % 64));
}

static bool get_bit(const struct page *page, uint64_t sequence)
{
	uint64_t bit = sequence % LEDGER_WINDOW;

	return page->bits[bit / 64] >> (bit % 64) & 1;
}

/* Moves the window on so that `sequence` is its newest. */
static void advance(struct page *page, uint64_t sequence)
{
	if (sequence - page->next >= LEDGER_WINDOW)
		memset(page->bits, 0, LEDGER_WINDOW / 8);
	else
		for (uint64_t s = page->next; s <= sequence; s++)
			set_bit(page, s, false);
	page->next = sequence + 1;
}

int ledger_note(struct ledger *ledger, uint64_t client, uint64_t sequence)
{
	struct page *page = ledger->last;

	if (!page || !page->bits || page->client != client)
		page = find(ledger, client);
	if (!page)
		page = open_page(ledger, client);
	if (!page)
		return -ENOMEM;
	ledger->last = page;
	page->used = ++ledger->clock;
	if (sequence == UINT64_MAX || (sequence < page->next && page->next - sequence > LEDGER_WINDOW)) {
		page->counts.unknown++;
		return 0;
	}
	if (sequence >= page->next)
		advance(page, sequence);
	if (get_bit(page, sequence)) {
		page->counts.twice++;
	} else {
		set_bit(page, sequence, true);
		page->counts.executed++;
	}
	return 0;
}

bool ledger_read(const struct ledger *ledger, uint64_t client, struct ledger_counts *counts)
{
	const struct page *page = find(ledger, client);

	if (page)
		*counts = page->counts;
	return page != NULL;
}
