/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes what stands in a key file, and the name of an instance.
 *
 * Checked: a key that is taken is written as it was read but for case and white space; a name that
 * is taken cannot leave the folder of keys.
 */
#include "base/util.h"
#include "ipc/proof.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static void fuzz_key(const char *text, size_t len_bytes)
{
    char again[2 * PROOF_KEY_BYTES + 1];
    struct proof_key key, same;
    enum status st = proof_key_parse(&key, text, len_bytes);

    ASSERT(st == ST_OK || st == ST_INVAL || st == ST_NOTFOUND);
    if (st != ST_OK)
        return;
    ASSERT(len_bytes >= 2 * PROOF_KEY_BYTES);
    proof_key_format(&key, again);
    ASSERT(proof_key_parse(&same, again, 2 * PROOF_KEY_BYTES) == ST_OK);
    ASSERT(memcmp(&key, &same, sizeof key) == 0);
}

static void fuzz_instance(const uint8_t *data, size_t len_bytes)
{
    char name[256];
    size_t n = MIN(len_bytes, sizeof name - 1);

    memcpy(name, data, n);
    name[n] = '\0';
    if (!proof_is_instance(name))
        return;
    ASSERT(strlen(name) < PROOF_INSTANCE_MAX && name[0] != '.');
    ASSERT(!strpbrk(name, "/\\: \n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    fuzz_key((const char *)data, len_bytes);
    fuzz_instance(data, len_bytes);
    return 0;
}
