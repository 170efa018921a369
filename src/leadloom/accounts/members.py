"""Who is on the team: inviting, joining, roles, leaving. All but ``find_invitation`` run inside the account's scope.

Admins manage members and admins; only owners make, change or remove owners; the last owner stays.
"""

from datetime import timedelta

from django.utils import timezone

from leadloom.accounts.models import Account, ApiToken, Invitation, Member, Role, User
from leadloom.accounts.scope import account_scope, key_scope
from leadloom.accounts.services import audit, create_user
from leadloom.accounts.tokens import hash_secret, new_secret
from leadloom.errors import LeadloomError

INVITATION_LIFE = timedelta(days=7)


class MembershipRefused(LeadloomError):
    """This change of the team is not allowed; the sentence says why."""

    code = "membership_refused"


class InvitationGone(LeadloomError):
    """The link was used, withdrawn or ran out."""

    code = "invitation_gone"


def invite(*, by: Member, email: str, role: str) -> tuple[Invitation, str]:
    """An invitation and the secret of its link, which cannot be shown again. Replaces an open one for this e-mail."""
    _check_may_grant(by, role)
    email = email.strip().lower()
    if Member.objects.filter(account=by.account, user__email=email).exists():
        raise MembershipRefused("They are on the team already.")
    Invitation.objects.filter(account=by.account, email=email, accepted_at=None).delete()
    secret = new_secret()
    invitation = Invitation.objects.create(
        account=by.account,
        email=email,
        role=role,
        token_hash=hash_secret(secret),
        invited_by=by,
        expires_at=timezone.now() + INVITATION_LIFE,
    )
    audit(by.account, by.user, "member.invited", f"invitation {invitation.pk} as {role}")
    return invitation, secret


def withdraw(invitation: Invitation, *, by: Member) -> None:
    _check_may_grant(by, invitation.role)
    audit(by.account, by.user, "invitation.withdrawn", f"invitation {invitation.pk}")
    invitation.delete()


def find_invitation(secret: str) -> Invitation | None:
    """The open invitation of this link, with its account's name: who holds the link may know who invites."""
    key_hash = hash_secret(secret)
    with key_scope(key_hash):
        invitation = Invitation.objects.filter(
            token_hash=key_hash, accepted_at=None, expires_at__gt=timezone.now()
        ).first()
    if invitation:
        with account_scope(invitation.account_id):
            invitation.account = Account.objects.get(pk=invitation.account_id)
    return invitation


def accept_as_new(invitation: Invitation, *, name: str, password: str) -> Member:
    """Makes the invited person, under the invitation's e-mail, and joins them. Raises EmailTaken, InvitationGone."""
    with account_scope(invitation.account_id):
        return accept_as(create_user(email=invitation.email, password=password, name=name), invitation)


def accept_as(user: User, invitation: Invitation) -> Member:
    """Joins somebody who exists. The link is used up, also when two use it at once: one of them is refused."""
    with account_scope(invitation.account_id):
        if Member.objects.filter(account_id=invitation.account_id, user=user).exists():
            raise MembershipRefused("You are on this team already.")
        now = timezone.now()
        taken = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, expires_at__gt=now)
        if not taken.update(accepted_at=now):
            raise InvitationGone("This invitation has been used or withdrawn, or it ran out. Ask for a new one.")
        member = Member.objects.create(account_id=invitation.account_id, user=user, role=invitation.role)
        audit(member.account, user, "member.joined", f"member {member.pk} as {member.role}")
        return member


def change_role(member: Member, *, role: str, by: Member) -> None:
    _lock_team(by.account)
    member.refresh_from_db()
    if member.role == role:
        return
    _check_may_change(member, by=by)
    _check_may_grant(by, role)
    if role != Role.OWNER:
        _check_not_last_owner(member)
    member.role = Role(role)
    member.save(update_fields=["role"])
    audit(by.account, by.user, "member.role_changed", f"member {member.pk} to {role}")
    if not member.may_manage:
        _end_powers(member, by=by)


def remove(member: Member, *, by: Member) -> None:
    """Takes effect with the person's next request: membership is looked up every time."""
    _lock_team(by.account)
    member.refresh_from_db()
    _check_may_change(member, by=by)
    _check_not_last_owner(member)
    _end_powers(member, by=by)
    audit(by.account, by.user, "member.removed", f"member {member.pk}")
    member.delete()


def _end_powers(member: Member, *, by: Member) -> None:
    """Keys and links that somebody made as a manager end with their place: they may have kept copies."""
    living = ApiToken.objects.filter(account=by.account, created_by=member, revoked_at=None)
    for token_id in list(living.values_list("pk", flat=True)):
        audit(by.account, by.user, "token.revoked", f"token {token_id}")
    living.update(revoked_at=timezone.now())
    Invitation.objects.filter(account=by.account, invited_by=member, accepted_at=None).delete()


def _check_may_grant(by: Member, role: str) -> None:
    if not by.may_manage:
        raise MembershipRefused("Only owners and admins manage the team.")
    if role == Role.OWNER and by.role != Role.OWNER:
        raise MembershipRefused("Only an owner can make somebody an owner.")


def _check_may_change(member: Member, *, by: Member) -> None:
    if not by.may_manage:
        raise MembershipRefused("Only owners and admins manage the team.")
    if member.role == Role.OWNER and by.role != Role.OWNER:
        raise MembershipRefused("Only an owner can change or remove an owner.")


def _check_not_last_owner(member: Member) -> None:
    owners = Member.objects.filter(account_id=member.account_id, role=Role.OWNER)
    if member.role == Role.OWNER and not owners.exclude(pk=member.pk).exists():
        raise MembershipRefused("This is the last owner. Make somebody else an owner first.")


def _lock_team(account: Account) -> None:
    """Changes of one team take turns, so that two owners cannot demote each other. Lets syncs go on meanwhile."""
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
