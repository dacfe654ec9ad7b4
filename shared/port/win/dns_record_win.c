/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: Windows gives numbers in the host's order, addresses as bytes, names and strings as
 * UTF-16 text. A byte of a TXT record beyond ASCII became some character on the way and nobody
 * knows which byte it was, so such a record is not told at all; its question is asked elsewhere.
 *
 * Whatever a server answered is in here: every text is copied with a bound (an overlong one is
 * ST_UNSUPPORTED), a list ends after DNS_LIST_MAX records, and dns_compose holds the sizes.
 */
#include "port/win/dns_record_win.h"

#include "port/dns_compose.h"
#include "port/win/utf16.h"

#include <string.h>

enum { TEXT_BYTES = 1024 };

/* NULL: not text that DNS could have. */
static const char *text_of(char buf[static TEXT_BYTES], const wchar_t *text)
{
    return text && utf16_to_utf8(buf, TEXT_BYTES, text) == ST_OK ? buf : NULL;
}

/* False, as all of these: it is no name. */
static bool put_name(struct dns_compose *c, const wchar_t *name)
{
    char buf[TEXT_BYTES];
    const char *text = text_of(buf, name);

    if (text)
        dns_compose_name(c, text);
    return text != NULL;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

static bool put_strings(struct dns_compose *c, const DNS_TXT_DATAW *txt)
{
    char buf[TEXT_BYTES];

    for (DWORD i = 0; i < txt->dwStringCount; i++) {
        const char *text = text_of(buf, txt->pStringArray[i]);

        if (!text || !is_ascii(text) || !bytes_out_ok(&c->w))
            return false;
        dns_compose_string(c, text);
    }
    return txt->dwStringCount > 0;
}

static bool put_mail(struct dns_compose *c, const DNS_MX_DATAW *mx)
{
    dns_compose_be16(c, mx->wPreference);
    return put_name(c, mx->pNameExchange);
}

static bool put_service(struct dns_compose *c, const DNS_SRV_DATAW *srv)
{
    dns_compose_be16(c, srv->wPriority);
    dns_compose_be16(c, srv->wWeight);
    dns_compose_be16(c, srv->wPort);
    return put_name(c, srv->pNameTarget);
}

static bool put_authority(struct dns_compose *c, const DNS_SOA_DATAW *soa)
{
    bool ok = put_name(c, soa->pNamePrimaryServer) && put_name(c, soa->pNameAdministrator);

    dns_compose_be32(c, soa->dwSerialNo);
    dns_compose_be32(c, soa->dwRefresh);
    dns_compose_be32(c, soa->dwRetry);
    dns_compose_be32(c, soa->dwExpire);
    dns_compose_be32(c, soa->dwDefaultTtl);
    return ok;
}

static bool put_data(struct dns_compose *c, const DNS_RECORDW *r)
{
    switch (r->wType) {
    case DNS_TYPE_A: dns_compose_bytes(c, &r->Data.A.IpAddress, 4); return true;
    case DNS_TYPE_AAAA: dns_compose_bytes(c, &r->Data.AAAA.Ip6Address, 16); return true;
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
    case DNS_TYPE_DNAME:
    case DNS_TYPE_PTR: return put_name(c, r->Data.PTR.pNameHost);
    case DNS_TYPE_MX: return put_mail(c, &r->Data.MX);
    case DNS_TYPE_TEXT: return put_strings(c, &r->Data.TXT);
    case DNS_TYPE_SRV: return put_service(c, &r->Data.SRV);
    case DNS_TYPE_SOA: return put_authority(c, &r->Data.SOA);
    default: return false;
    }
}

bool dns_record_type_is_known(uint16_t type)
{
    static const uint16_t known[] = { DNS_TYPE_A,   DNS_TYPE_AAAA, DNS_TYPE_NS,
                                      DNS_TYPE_PTR, DNS_TYPE_MX,   DNS_TYPE_CNAME,
                                      DNS_TYPE_SRV, DNS_TYPE_SOA,  DNS_TYPE_TEXT };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i] == type)
            return true;
    return false;
}

static enum status put_record(struct dns_compose *c, enum dns_section section, const DNS_RECORDW *r)
{
    char buf[TEXT_BYTES];
    const char *owner = text_of(buf, r->pName);

    if (!owner)
        return ST_UNSUPPORTED;
    dns_compose_record(c, section, owner, r->wType, r->dwTtl);
    if (!put_data(c, r))
        dns_compose_give_up(c);
    return dns_compose_record_end(c);
}

/* DnsSectionAnswer is 1; a list without sections (the hosts file) says 0, the question's. */
static enum dns_section section_of(const DNS_RECORDW *r)
{
    switch (r->Flags.S.Section) {
    case DnsSectionAuthority: return DNS_SECTION_AUTHORITY;
    case DnsSectionAddtional: return DNS_SECTION_ADDITIONAL;
    default: return DNS_SECTION_ANSWER;
    }
}

static enum status put_section(struct dns_compose *c, enum dns_section section,
                               const DNS_RECORDW *list)
{
    unsigned seen = 0;

    for (const DNS_RECORDW *r = list; r && seen < DNS_LIST_MAX; r = r->pNext, seen++) {
        bool is_wanted = dns_record_type_is_known(r->wType) || r->wType == DNS_TYPE_DNAME;
        enum status st = ST_OK;

        if (section_of(r) == section && is_wanted)
            st = put_record(c, section, r);
        if (st && section == DNS_SECTION_ANSWER)
            return st;
    }
    return ST_OK;
}

enum status dns_record_list_compose(struct dns_compose *c, const DNS_RECORDW *list)
{
    enum status st = ST_OK;

    for (unsigned s = DNS_SECTION_ANSWER; s <= DNS_SECTION_ADDITIONAL && !st; s++)
        st = put_section(c, (enum dns_section)s, list);
    return st;
}
