#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "crypto/hash.h"
#include "ffi/handle.h"

struct node {
	struct snet_addr addr;
	uint64_t id;
};

void *stoffelnet_node_new(const char *address, uint64_t party_id)
{
	struct snet_addr a;
	struct node *n;

	if (snet_ffi_parse(&a, address, "address"))
		return NULL;
	n = malloc(sizeof(*n));
	if (!n) {
		snet_ffi_fail(0, "out of memory");
		return NULL;
	}
	*n = (struct node){ a, party_id };
	return n;
}

void *stoffelnet_node_new_random_id(const char *address)
{
	uint64_t id;

	if (snet_random(&id, sizeof(id))) {
		snet_ffi_fail(0, "no random bytes");
		return NULL;
	}
	return stoffelnet_node_new(address, id);
}

void stoffelnet_node_destroy(void *node)
{
	free(node);
}

char *stoffelnet_node_address(void *node)
{
	const struct node *n = node;
	char text[SNET_ADDR_TEXT], *copy;

	if (!n) {
		snet_ffi_fail(0, "Null node handle");
		return NULL;
	}
	copy = strdup(snet_addr_print(&n->addr, text));
	if (!copy)
		snet_ffi_fail(0, "out of memory");
	return copy;
}

uint64_t stoffelnet_node_party_id(void *node)
{
	const struct node *n = node;

	if (!n)
		snet_ffi_fail(0, "Null node handle");
	return n ? n->id : 0;
}

void stoffelnet_free_bytes(uint8_t *data, size_t len)
{
	(void)len;
	free(data);
}

void stoffelnet_free_string(char *str)
{
	free(str);
}

/* ---- what the other files share: addresses as people give them */

int32_t snet_ffi_parse(struct snet_addr *out, const char *text, const char *what)
{
	if (!text)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null %s%s", what,
				     strcmp(what, "address") ? "" : " pointer");
	if (!snet_utf8_is_valid(text, strlen(text)))
		return snet_ffi_fail(STOFFELNET_ERR_INVALID_UTF8, "Invalid UTF-8 in %s", what);
	if (snet_addr_parse(out, text))
		return snet_ffi_fail(STOFFELNET_ERR_INVALID_ADDRESS,
				     "Invalid %s format: invalid socket address syntax", what);
	return STOFFELNET_OK;
}

uint8_t *snet_ffi_copy(const void *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (copy && n)
		memcpy(copy, p, n);
	if (!copy)
		snet_ffi_fail(0, "out of memory");
	return copy;
}
