/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/key_file.h"

#include "ipc/proof.h"
#include "port/secret_file.h"
#include "port/sys.h"

enum status key_file_read(const char *path, struct proof_key *out, struct errmsg *e)
{
    char text[SECRET_FILE_MAX];
    size_t len_bytes = 0;
    enum status st = secret_file_read(path, text, sizeof text, &len_bytes, e);

    if (st == ST_OK) {
        st = proof_key_parse(out, text, len_bytes);
        if (st == ST_NOTFOUND)
            errmsg_set(e, "%s is empty", path);
        else if (st)
            errmsg_set(e, "%s holds no key: that is %d hexadecimal digits", path,
                       2 * PROOF_KEY_BYTES);
    }
    crypto_wipe(text, sizeof text);
    return st;
}

enum status key_file_create(const char *path, struct errmsg *e)
{
    char text[2 * PROOF_KEY_BYTES + 1];
    struct proof_key key;
    enum status st = sys_random(key.bytes, sizeof key.bytes);

    if (st) {
        errmsg_set(e, "no random bytes: %s", status_text(st));
        return ST_IO;
    }
    proof_key_format(&key, text);
    text[sizeof text - 1] = '\n';
    st = secret_file_create(path, text, sizeof text, e);
    crypto_wipe(&key, sizeof key);
    crypto_wipe(text, sizeof text);
    return st;
}
