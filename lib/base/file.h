/* File: whole files, read under a ceiling and written so that nobody ever sees half of one. */
#ifndef SNET_BASE_FILE_H
#define SNET_BASE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"

/* Appends what path holds (a pipe or a device too, up to its end) to b, whose ceiling holds.
 * secret: refuses a file that group or others may read or write, and keeps no copy behind.
 * Fails with SNET_ENOMEM, or else with code: what an unreadable file is to the caller,
 * SNET_ECONFIG, SNET_EKEY. err names the path. */
int snet_file_read(struct snet_buf *b, const char *path, bool secret, int code,
		   struct snet_error *err);

/* Writes a new file beside path and puts it in place when it is whole and on
 * disk. force: replaces a regular file, else one that exists is SNET_EIO. mode:
 * as for open(2), the umask applies. */
int snet_file_write(const char *path, const void *p, size_t n, mode_t mode, bool force,
		    struct snet_error *err);

#endif
