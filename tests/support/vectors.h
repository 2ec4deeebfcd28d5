/* Vectors: the files of tests/vectors, for unit tests. SNET_SRCDIR says where
 * the source is (default "."). */
#ifndef TESTS_SUPPORT_VECTORS_H
#define TESTS_SUPPORT_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* The caller's; a file that cannot be read fails the test. */
json_t *vectors_load(const char *name);

/* Bytes of hex text in a block of exactly that size (never NULL), so that a read past the end
 * is seen. free it. */
uint8_t *vectors_unhex(const char *hex, size_t *n);

/* The member's text; a member that is not there fails the test. */
const char *vectors_text(const json_t *object, const char *key);

#endif
