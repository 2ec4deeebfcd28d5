#include "emul/preset.h"

#include <string.h>

#define MS(x) ((snet_time)((x)*SNET_MS))
#define RTT(x) ((snet_time)((x)*SNET_MS / 2))
#define MBIT(x) ((x)*1000000ull)
#define ETHERNET 1500    /* bytes: all of them speak of such networks */
#define NAME_MAX_HERE 24 /* longer names are near to nothing */

struct snet_preset_matrix {
	uint32_t rtt_us[SNET_PRESET_PARTIES][SNET_PRESET_PARTIES];
	uint32_t mbit[SNET_PRESET_PARTIES][SNET_PRESET_PARTIES];
};

#define HPMPC "github.com/chart21/hpmpc measurements/network_shaping/"

/* clang-format off */
static const struct snet_preset_matrix lan = {
	{ { 0, 304, 302, 291 }, { 295, 0, 285, 267 }, { 304, 296, 0, 178 }, { 296, 265, 178, 0 } },
	{ { 0, 4880, 4870, 4890 }, { 4940, 0, 4920, 4940 }, { 4790, 4800, 0, 4810 }, { 4900, 4890, 4910, 0 } },
};
static const struct snet_preset_matrix cman = {
	{ { 0, 2318, 1244, 1432 }, { 2394, 0, 1088, 2020 }, { 1232, 1091, 0, 1883 }, { 1418, 2054, 1892, 0 } },
	{ { 0, 137, 1532, 417 }, { 139, 0, 1144, 312 }, { 1550, 1023, 0, 602 }, { 444, 389, 609, 0 } },
};
static const struct snet_preset_matrix wan1 = {
	{ { 0, 192586, 49311, 111300 }, { 186628, 0, 32764, 164242 }, { 44119, 34772, 0, 124315 }, { 103893, 174102, 120835, 0 } },
	{ { 0, 143, 774, 541 }, { 149, 0, 868, 285 }, { 790, 866, 0, 201 }, { 544, 260, 198, 0 } },
};
static const struct snet_preset_matrix wan2 = {
	{ { 0, 91451, 258290, 276367 }, { 91434, 0, 165687, 196220 }, { 253818, 165691, 0, 101163 }, { 276253, 196132, 112510, 0 } },
	{ { 0, 320, 121, 110 }, { 341, 0, 180, 154 }, { 115, 186, 0, 270 }, { 109, 155, 271, 0 } },
};
static const struct snet_preset_matrix mixed = {
	{ { 0, 288559, 89244, 194322 }, { 291132, 0, 32761, 204447 }, { 81114, 35041, 0, 122331 }, { 193446, 209191, 127073, 0 } },
	{ { 0, 113, 698, 271 }, { 114, 0, 875, 205 }, { 681, 869, 0, 582 }, { 276, 207, 540, 0 } },
};

const struct snet_preset snet_presets[] = {
	{ "emp-lan", { .rate = MBIT(2320), .burst = 100000 }, NULL,
	  "github.com/emp-toolkit/emp-readme scripts/throttle.sh" },
	{ "emp-wan", { .delay = RTT(20), .rate = MBIT(200), .burst = 100000 }, NULL,
	  "github.com/emp-toolkit/emp-readme scripts/throttle.sh" },
	{ "cheetah-lan", { .delay = RTT(.3), .rate = MBIT(3000) }, NULL,
	  "github.com/Alibaba-Gemini-Lab/OpenCheetah scripts/throttle.sh" },
	{ "cheetah-wan", { .delay = RTT(40), .rate = MBIT(400) }, NULL,
	  "github.com/Alibaba-Gemini-Lab/OpenCheetah scripts/throttle.sh" },
	{ "dory-lan", { .delay = RTT(.2), .rate = MBIT(10000) }, NULL,
	  "github.com/AntCPLab/OpenDory throttle.sh" },
	{ "gazelle-lan", { .delay = RTT(.2), .rate = MBIT(2500) }, NULL,
	  "github.com/chiraag/gazelle_mpc scripts/throttle.sh" },
	{ "hpmpc-lan", { 0 }, &lan, HPMPC "LAN.json" },
	{ "hpmpc-cman", { 0 }, &cman, HPMPC "CMAN.json" },
	{ "hpmpc-wan1", { 0 }, &wan1, HPMPC "WAN1.json" },
	{ "hpmpc-wan2", { 0 }, &wan2, HPMPC "WAN2.json" },
	{ "hpmpc-mixed", { 0 }, &mixed, HPMPC "Mixed.json" },
	{ "wan-100", { .delay = RTT(80), .jitter = MS(1), .distribution = SNET_JITTER_NORMAL, .rate = MBIT(100) }, NULL,
	  "github.com/RachitG54/FED simulateWAN.sh" },
	{ "multicent-wan", { .delay = RTT(100), .jitter = MS(3), .correlation = .25, .rate = MBIT(100) }, NULL,
	  "github.com/encryptogroup/MultiCent local_demo/network_wan.sh" },
	{ "pmpl-wan", { .delay = RTT(40), .rate = MBIT(320) }, NULL,
	  "github.com/FudanMPL/pMPL README: 40Mbps of tc are 40 MB/s" },
	{ "tlsn-cable", { .delay = MS(20), .rate = MBIT(20) }, NULL,
	  "github.com/tlsnotary/tlsn crates/harness/bench.toml, upload" },
	{ "tlsn-5g", { .delay = MS(30), .rate = MBIT(30) }, NULL,
	  "github.com/tlsnotary/tlsn crates/harness/bench.toml, upload" },
	{ "tlsn-fiber", { .delay = MS(15), .rate = MBIT(100) }, NULL,
	  "github.com/tlsnotary/tlsn crates/harness/bench.toml, upload" },
	{ "kauri-global", { .delay = MS(100), .rate = MBIT(25) }, NULL,
	  "github.com/Raycoms/Kauri-Public runkauri/experiments" },
	{ "kauri-regional", { .delay = MS(50), .rate = MBIT(100) }, NULL,
	  "github.com/Raycoms/Kauri-Public runkauri/experiments" },
	{ "kauri-local", { .delay = MS(5), .rate = MBIT(1000) }, NULL,
	  "github.com/Raycoms/Kauri-Public runkauri/experiments" },
	{ "hbmpc-wan", { .delay = MS(200), .jitter = MS(50) }, NULL,
	  "github.com/initc3/HoneyBadgerMPC scripts/latency-control.sh" },
	{ "satellite", { .delay = RTT(600), .jitter = MS(5), .distribution = SNET_JITTER_NORMAL, .rate = MBIT(20), .loss = .005, .in_order = true }, NULL,
	  "ours: a geostationary hop, up and down, each way" },
	{ "mobile", { .delay = RTT(70), .jitter = MS(10), .distribution = SNET_JITTER_PARETO, .correlation = .5, .rate = MBIT(12), .loss = .01, .in_order = true }, NULL,
	  "ours: a telephone on the move" },
	{ "bad", { .delay = MS(200), .loss = .005 }, NULL,
	  "github.com/nspcc-dev/neo-bench issue 85, its worst" },
	{ 0 },
};
/* clang-format on */

const struct snet_preset *snet_preset_find(const char *name)
{
	for (const struct snet_preset *p = snet_presets; p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

int snet_preset_link(const struct snet_preset *p, size_t i, size_t j,
		     struct snet_shape_spec *out, struct snet_error *err)
{
	*out = p->spec;
	out->mtu = ETHERNET;
	if (!p->matrix)
		return SNET_OK;
	if (i >= SNET_PRESET_PARTIES || j >= SNET_PRESET_PARTIES || i == j)
		return snet_fail(err, SNET_EINVAL,
				 "preset '%s' was measured between %d parties, no more",
				 p->name, SNET_PRESET_PARTIES);
	out->delay = p->matrix->rtt_us[i][j] * SNET_US / 2;
	out->rate = MBIT(p->matrix->mbit[i][j]);
	return SNET_OK;
}

/* ---- near names */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t row[NAME_MAX_HERE + 1];

	if (n > NAME_MAX_HERE || m > NAME_MAX_HERE)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t up = row[j];

			row[j] = least(least(up, row[j - 1]) + 1,
				       corner + (lower(a[i - 1]) != lower(b[j - 1])));
			corner = up;
		}
	}
	return row[m];
}

/* One of the preset's words counts as near: "cheetah" means two, "wan" many. Something of what
 * was written must be left: "emp" is not almost "bad". */
static size_t far_from(const char *name, const char *preset)
{
	size_t n = strlen(name), far = distance(name, n, preset, strlen(preset));

	for (const char *word = preset; *word; word += *word == '-') {
		size_t m = strcspn(word, "-"), off = distance(name, n, word, m);

		if (off <= 1 && off < n && m > 1)
			far = least(far, 1 + off);
		word += m;
	}
	return far < n ? far : SIZE_MAX;
}

size_t snet_preset_near(const char *name, const char **out, size_t n)
{
	size_t found = 0;

	for (size_t far = 0; far <= 3; far++)
		for (const struct snet_preset *p = snet_presets; p->name; p++)
			if (found < n && far_from(name, p->name) == far)
				out[found++] = p->name;
	return found;
}
