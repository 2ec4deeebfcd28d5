/* A schedule, line by line: each is read or refused in words, and what is read can be applied
 * or is refused; the schedule never goes back in time. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/link_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static uint32_t find(const char *name, size_t n, void *user)
{
	(void)user;
	return n == 1 && *name >= '0' && *name < '4' ? (uint32_t)(*name - '0') : SNET_EMUL_ANY;
}

struct plan {
	struct snet_emul_net net;
	struct snet_schedule schedule;
};

static int take(void *line, size_t n, size_t at, void *user, struct snet_error *err)
{
	static const struct link_names names = { find, NULL };
	struct plan *plan = user;
	struct snet_change c;
	bool has_at;
	int rc = link_line_change(&c, &has_at, line, n, &names, err);

	(void)at;
	assert(rc == SNET_OK || (rc == SNET_ECONFIG && err->text[0]));
	if (rc)
		return rc;
	rc = snet_emul_apply(&plan->net, &c, err);
	assert(rc == SNET_OK || (rc == SNET_EINVAL && err->text[0]));
	for (size_t i = 0; i < 16; i++)
		assert(!snet_shape_check(&plan->net.links[i].shape.spec, NULL));
	return rc ? rc : snet_schedule_add(&plan->schedule, &c, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct plan plan = { .schedule = { 0 } };
	struct snet_error err = { 0 };
	void *text = malloc(n + 1);
	snet_time last = 0;
	int rc;

	if (!text || snet_emul_net_init(&plan.net, 4, 1))
		abort();
	memcpy(text, p, n);
	rc = link_lines("plan", text, n, take, &plan, &err);
	assert(!rc || !strncmp(err.text, "plan:", 5));
	for (size_t i = 0; i < plan.schedule.n; i++) {
		assert(plan.schedule.v[i].at >= last);
		last = plan.schedule.v[i].at;
	}
	snet_schedule_fini(&plan.schedule);
	snet_emul_net_fini(&plan.net);
	free(text);
	return 0;
}
